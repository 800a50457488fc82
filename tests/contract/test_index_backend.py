"""The contract of an `IndexBackend`, on the embedded engine, on qdrant-client's local mode, and over HTTP.

Where no Qdrant server can be had, HTTP goes to one that holds every request to Qdrant's published shapes.
"""

import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

pytest.importorskip("qdrant_edge", reason="needs the model environment")

from qdrant_client import AsyncQdrantClient

from retrieval.backends import IndexBackend, KeywordVector, Point
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.qdrant_server import QdrantServer
from retrieval.backends.remote import RemoteBackend
from retrieval.backends.shard_folder import IndexLocked, IndexUnreadable
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not
from retrieval.filters import check_filter, compile_filter, encode_attributes
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.visibility import OPEN, Visibility, show_document, show_store
from tests.fakes.qdrant import FakeQdrant

# Local mode has no payload indexes and says so; a server has.
pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]

ENCODER = KeywordEncoder()
STORE = show_store("kestrel", "vs")


async def open_backend(kind: str, folder: Path, client: AsyncQdrantClient) -> IndexBackend:
    if kind == "embedded":
        return EmbeddedBackend.open(folder / "shard", 3)
    return await RemoteBackend.open(client, "chunks", 3)


Reopen = Callable[[], Awaitable[IndexBackend]]


@asynccontextmanager
async def connected(kind: str) -> AsyncGenerator[AsyncQdrantClient]:
    """A client of local mode, or of a server over HTTP that holds each request to the published shapes."""
    if kind != "http":
        client = AsyncQdrantClient(":memory:")
        yield client
        await client.close()
        return
    with FakeQdrant("a-key").running() as server:
        client = QdrantServer(server.url, "a-key").make_client()
        yield client
        await client.close()
        assert server.faults == []
        assert server.requests, "nothing went over HTTP"


KINDS = ["embedded", "remote", "http"]


@pytest.fixture(params=KINDS)
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Close the backend, if one is open, and open it again on the same points."""
    backends: list[IndexBackend] = []

    async with connected(request.param) as client:

        async def open_again() -> IndexBackend:
            if backends:
                await backends.pop().close()
            backends.append(await open_backend(request.param, tmp_path / "index", client))
            return backends[0]

        yield open_again
        for backend in backends:
            await backend.close()


@pytest.fixture
async def backend(reopen: Reopen) -> IndexBackend:
    return await reopen()


def point(number: int, text: str, dense: list[float], tenant: str = "kestrel", **payload: Any) -> Point:
    fields = {"tenant": tenant, "store": "vs", "document": "doc", "digest": f"d{number}", "from": 1, "to": OPEN}
    return Point(str(UUID(int=number)), dense, ENCODER.encode_passages([text])[0], {**fields, "text": text, **payload})


async def texts(
    backend: IndexBackend, visibility: Visibility, dense: list[float], words: str, candidates: int = 10
) -> set[str]:
    answers = await backend.search(visibility, visibility, dense, ENCODER.encode_question(words), candidates)
    return {candidate.payload["text"] for candidate in answers}


async def test_each_candidate_has_both_scores(backend: IndexBackend) -> None:
    await backend.upsert(
        [point(1, "warranty of the kettle", [1, 0, 0]), point(2, "price of the ferry", [0, 1, 0])]
        + [point(n, "nothing of interest", [0, 0, 1]) for n in range(3, 9)]
    )
    # One candidate per list: the first is found by its vector only, the second by its words only.
    answers = await backend.search(STORE, STORE, [0.8, 0.6, 0], ENCODER.encode_question("ferry price"), 1)
    by_text = {candidate.payload["text"]: candidate for candidate in answers}
    assert set(by_text) == {"warranty of the kettle", "price of the ferry"}
    assert by_text["warranty of the kettle"].dense == pytest.approx(0.8, abs=1e-5)
    assert by_text["warranty of the kettle"].keyword == 0
    assert by_text["price of the ferry"].dense == pytest.approx(0.6, abs=1e-5)
    assert by_text["price of the ferry"].keyword == 1


async def test_a_candidate_has_the_payload_of_its_point(backend: IndexBackend) -> None:
    original = point(1, "warranty", [1, 0, 0], attributes={"area": "kettles", "year": 2026, "new": True}, start=7)
    await backend.upsert([original])
    (candidate,) = await backend.search(STORE, STORE, [1, 0, 0], ENCODER.encode_question("warranty"), 10)
    assert (candidate.id, candidate.payload) == (original.id, original.payload)


async def test_an_empty_index_has_no_candidates(backend: IndexBackend) -> None:
    assert await backend.search(STORE, STORE, [1, 0, 0], ENCODER.encode_question("warranty"), 10) == []
    assert await backend.count() == 0


async def test_a_question_of_stop_words_still_finds_by_meaning(backend: IndexBackend) -> None:
    await backend.upsert([point(1, "warranty", [1, 0, 0])])
    assert ENCODER.encode_question("of the") == KeywordVector([], [])
    assert await texts(backend, STORE, [1, 0, 0], "of the") == {"warranty"}


async def test_tenants_with_the_same_texts_never_meet(backend: IndexBackend) -> None:
    await backend.upsert(
        [
            point(1, "warranty", [1, 0, 0], owner="kestrel"),
            point(2, "warranty", [1, 0, 0], tenant="harbor", owner="harbor"),
        ]
    )
    harbor = show_store("harbor", "vs")
    for visibility in (STORE, harbor):
        answers = await backend.search(visibility, visibility, [1, 0, 0], ENCODER.encode_question("warranty"), 10)
        assert [candidate.payload["owner"] for candidate in answers] == [visibility.tenant]
    assert await backend.find_vectors(harbor, ["d1"]) == {}
    await backend.set_payload(harbor, {"text": "changed"})
    await backend.delete(harbor)
    assert await texts(backend, STORE, [1, 0, 0], "warranty") == {"warranty"}
    assert await backend.count() == 1


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def three_points(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[IndexBackend]:
    async with connected(request.param) as client:
        backend = await open_backend(request.param, tmp_path_factory.mktemp("index"), client)
        await backend.upsert(
            [
                point(1, "a", [1, 0, 0], where={"k61": "s:red", "k62": 1.5}),
                point(2, "b", [1, 0, 0], where={"k61": "s:blue", "k62": 2.0}),
                point(3, "c", [1, 0, 0], where={}),
            ]
        )
        yield backend
        await backend.close()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Match("where.k61", ("s:red",)), {"a"}),
        (Match("where.k61", ("s:red", "s:blue")), {"a", "b"}),
        (Not(Match("where.k61", ("s:red",))), {"b", "c"}),
        (Between("where.k62", gt=1.5), {"b"}),
        (Between("where.k62", gte=1.5, lt=2), {"a"}),
        (All((Match("where.k61", ("s:red", "s:blue")), Between("where.k62", lt=2))), {"a"}),
        (AnyOf((Match("where.k61", ("s:red",)), Between("where.k62", gte=2, lte=2))), {"a", "b"}),
        (Not(AnyOf((Match("where.k61", ("s:red",)), Between("where.k62", lte=2)))), {"c"}),
        (Match("where.k61", ("s:none",)), set[str]()),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_condition_means_the_same_everywhere(
    three_points: IndexBackend, condition: Condition, expected: set[str]
) -> None:
    assert await texts(three_points, STORE.narrow(condition), [1, 0, 0], "a b c") == expected


ATTRIBUTES: list[dict[str, Any]] = [
    {"area": area, "year": year, "new": new}
    for area in ("kettles", "pots", "True")
    for year in (-1, 0, 2025.5, 2026)
    for new in (True, False)
] + [{}, {"year": 0}, {"area": "pots"}, {"new": "True"}, {"a.b": 1, 'x".tenant': "harbor"}]
VALUES: list[Any] = ["kettles", "pots", "True", True, False, -1, 0, 2025.5, 2026, "2026"]


def _random_filter(random: Random, depth: int) -> dict[str, Any]:
    if depth and random.random() < 0.4:
        parts = [_random_filter(random, depth - 1) for _ in range(random.randint(1, 3))]
        return {"type": random.choice(("and", "or")), "filters": parts}
    kind = random.choice(("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"))
    if kind in ("in", "nin"):
        value: Any = random.sample(VALUES, random.randint(1, 4))
    else:
        value = random.choice(VALUES if kind in ("eq", "ne") else [-1, 0, 2025.5, 2026])
    return {"type": kind, "key": random.choice(("area", "year", "new", "a.b", "none")), "value": value}


def _holds(filters: dict[str, Any], attributes: dict[str, Any]) -> bool:
    """Evaluate a filter in Python, with JSON's types: true is no 1, and "2026" is no number."""
    kind = filters["type"]
    if kind in ("and", "or"):
        parts = [_holds(part, attributes) for part in filters["filters"]]
        return all(parts) if kind == "and" else any(parts)
    present, wanted = attributes.get(filters["key"]), filters["value"]

    def same(value: Any) -> bool:
        kinds = {bool: "bool", str: "str"}
        return kinds.get(type(present)) == kinds.get(type(value)) and present == value

    if kind in ("eq", "ne"):
        return same(wanted) == (kind == "eq")
    if kind in ("in", "nin"):
        return any(map(same, wanted)) == (kind == "in")
    if present is None or isinstance(present, bool | str):
        return False
    return {"gt": present > wanted, "gte": present >= wanted, "lt": present < wanted, "lte": present <= wanted}[kind]


@pytest.mark.case("doc-filters")
async def test_every_filter_lets_through_the_same_documents_everywhere(backend: IndexBackend) -> None:
    points = [
        point(number, f"t{number}", [1, 0, 0], where=encode_attributes(attributes))
        for number, attributes in enumerate(ATTRIBUTES, 1)
    ]
    foreign = [
        point(number + 1000, f"foreign{number}", [1, 0, 0], "harbor", where=encode_attributes(attributes))
        for number, attributes in enumerate(ATTRIBUTES, 1)
    ]
    await backend.upsert([*points, *foreign])
    random, matches = Random(8), 0
    for _ in range(400):
        filters = _random_filter(random, 3)
        check_filter(filters)
        expected = {f"t{number}" for number, one in enumerate(ATTRIBUTES, 1) if _holds(filters, one)}
        visibility = STORE.narrow(compile_filter(filters))
        payloads = await backend.read(visibility, ("text",))
        assert {payload["text"] for payload in payloads} == expected, filters
        matches += bool(expected)
    assert 100 < matches < 400
    narrow = STORE.narrow(compile_filter({"type": "eq", "key": "year", "value": 2025.5}))
    assert len(await texts(backend, narrow, [1, 0, 0], "none", candidates=50)) == 6


async def test_whole_numbers_are_compared_exactly_also_where_floats_are_not(backend: IndexBackend) -> None:
    large = [
        base + step for base in (2**53, -(2**53), 2**60, 2**63 - 1600) for step in (-1, 0, 1, 2, 3, 511, 512, 1025)
    ]
    values: list[float] = [*large, 0, 1.5, float(2**53), float(2**60), 1e300]
    await backend.upsert(
        [point(n, str(n), [1, 0, 0], where=encode_attributes({"a": value})) for n, value in enumerate(values, 1)]
    )
    for value in [*values, 2**60 + 7, -(2**63)]:
        for kind in ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"):
            filters = {"type": kind, "key": "a", "value": [value, 3] if kind in ("in", "nin") else value}
            expected = {str(n) for n, one in enumerate(values, 1) if _holds(filters, {"a": one})}
            payloads = await backend.read(STORE.narrow(compile_filter(filters)), ("text",))
            assert {payload["text"] for payload in payloads} == expected, filters


async def test_fields_of_all_points_are_read_among_many_pages(backend: IndexBackend) -> None:
    await backend.upsert([point(n, f"text {n}", [1, 0, 0], start=n) for n in range(1, 601)])
    await backend.upsert([point(1000, "foreign", [1, 0, 0], tenant="harbor", start=0)])
    payloads = await backend.read(STORE, ("text", "start"))
    assert sorted(payload["start"] for payload in payloads) == list(range(1, 601))
    assert payloads[0] == {"text": f"text {payloads[0]['start']}", "start": payloads[0]["start"]}
    assert await backend.read(STORE.narrow(Between("start", gt=600)), ("text",)) == []


async def test_an_upsert_of_the_same_id_replaces(backend: IndexBackend) -> None:
    await backend.upsert([point(1, "old", [1, 0, 0])])
    await backend.upsert([point(1, "new", [1, 0, 0])])
    assert await texts(backend, STORE, [1, 0, 0], "old new") == {"new"}
    assert await backend.count() == 1


async def test_vectors_are_found_by_digest_among_many_pages(backend: IndexBackend) -> None:
    # One digest in 600 points hides the other, beyond the first pages of a scroll.
    await backend.upsert([point(n, "same", [1, 0, 0], digest="same") for n in range(1, 601)])
    await backend.upsert([point(999, "other", [0, 0.6, 0.8], digest="other")])
    vectors = await backend.find_vectors(STORE, ["same", "other", "none"])
    assert set(vectors) == {"same", "other"}
    assert vectors["other"] == pytest.approx([0, 0.6, 0.8], abs=1e-5)
    assert await backend.find_vectors(STORE, []) == {}


async def test_payload_and_delete_touch_the_points_of_their_visibility_only(backend: IndexBackend) -> None:
    await backend.upsert([point(1, "one", [1, 0, 0], document="a"), point(2, "two", [1, 0, 0], document="b")])
    await backend.set_payload(show_document("kestrel", "vs", "a"), {"to": 7})
    assert await texts(backend, STORE.narrow(Between("to", lte=7)), [1, 0, 0], "one") == {"one"}
    assert await texts(backend, STORE.narrow(Between("to", gte=OPEN)), [1, 0, 0], "one") == {"two"}
    await backend.delete(show_document("kestrel", "vs", "a"))
    assert await texts(backend, STORE, [1, 0, 0], "one two") == {"two"}


async def test_points_are_there_again_after_a_restart(reopen: Reopen) -> None:
    await (await reopen()).upsert([point(1, "warranty", [1, 0, 0])])
    backend = await reopen()
    assert await texts(backend, STORE, [1, 0, 0], "warranty") == {"warranty"}
    await backend.upsert([point(2, "price", [0, 1, 0])])
    assert await (await reopen()).count() == 2


async def test_an_embedded_index_has_one_owner(tmp_path: Path) -> None:
    owner = EmbeddedBackend.open(tmp_path / "shard", 3)
    with pytest.raises(IndexLocked, match="open in another process"):
        EmbeddedBackend.open(tmp_path / "shard", 3)
    await owner.close()
    await EmbeddedBackend.open(tmp_path / "shard", 3).close()


async def test_a_folder_that_is_made_for_an_index_is_its_owners_alone(tmp_path: Path) -> None:
    await EmbeddedBackend.open(tmp_path / "index" / "shard", 3).close()
    assert (tmp_path / "index").stat().st_mode & 0o777 == 0o700


async def test_an_embedded_index_that_was_not_made_to_its_end_is_made_again(tmp_path: Path) -> None:
    killed = tmp_path / "shard.unfinished"
    killed.mkdir()
    (killed / "half").write_text("a file")
    backend = EmbeddedBackend.open(tmp_path / "shard", 3)
    assert await backend.count() == 0
    await backend.close()
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


async def test_an_embedded_index_that_is_broken_is_set_aside_for_an_empty_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shard"
    backend = EmbeddedBackend.open(folder, 3)
    await backend.upsert([point(1, "warranty", [1, 0, 0])])
    await backend.close()
    (segment,) = (folder / "segments").iterdir()
    (segment / "segment.json").write_text("nonsense")
    backend = EmbeddedBackend.open(folder, 3)
    assert await backend.count() == 0
    await backend.close()
    (aside,) = tmp_path.glob("shard.unreadable-*")
    assert (aside / "segments" / segment.name / "segment.json").read_text() == "nonsense"
    assert "set aside" in caplog.text


def test_an_embedded_index_on_a_full_disk_is_left_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shard").mkdir()

    def report_full(_folder: object) -> SimpleNamespace:
        return SimpleNamespace(free=0)

    monkeypatch.setattr(shutil, "disk_usage", report_full)
    with pytest.raises(IndexUnreadable, match="0 bytes free"):
        EmbeddedBackend.open(tmp_path / "shard", 3)
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


async def test_an_embedded_index_is_neither_made_nor_opened_without_the_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine would end the process by SIGBUS, and leave half an index."""
    folder, free = tmp_path / "data" / "shard", 40 * 1024**2

    def report(_folder: object) -> SimpleNamespace:
        return SimpleNamespace(free=free)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", report)
        with pytest.raises(IndexUnreadable, match="can't be made: the disk has 41943040 bytes free, and that takes"):
            EmbeddedBackend.open(folder, 3)
        assert list(folder.parent.iterdir()) == []
    backend = EmbeddedBackend.open(folder, 3)
    await backend.upsert([point(1, "warranty", [1, 0, 0])])
    await backend.close()
    monkeypatch.setattr(shutil, "disk_usage", report)
    backend = EmbeddedBackend.open(folder, 3)  # which has its files, and answers also on a disk that is nearly full
    assert await backend.count() == 1
    await backend.close()
    free = 1000
    with pytest.raises(IndexUnreadable, match="can't be opened: the disk has 1000 bytes free"):
        EmbeddedBackend.open(folder, 3)
    assert [path.name for path in folder.parent.iterdir()] == ["shard"]


async def test_an_embedded_index_weighs_words_by_the_corpus_of_the_reader(tmp_path: Path) -> None:
    backend = EmbeddedBackend.open(tmp_path / "shard", 3)
    await backend.upsert([point(1, "ferry kettle", [1, 0, 0]), point(2, "kettle", [1, 0, 0])])

    async def score() -> float:
        answers = await backend.search(STORE, STORE, [1, 0, 0], ENCODER.encode_question("ferry"), 10)
        return max(candidate.keyword for candidate in answers)

    alone = await score()
    await backend.upsert([point(n, "ferry", [0, 1, 0], tenant="harbor") for n in range(10, 60)])
    assert await score() == pytest.approx(alone)
    await backend.upsert([point(n, f"kettle {n}", [0, 1, 0]) for n in range(100, 160)])
    assert await score() == pytest.approx(alone, abs=0.02), "nor is it another one in a larger store"
    await backend.close()
