"""What every `Store` has to do, on the embedded engine and on qdrant-client's local mode."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("qdrant_edge", reason="needs the model environment")

from qdrant_client import AsyncQdrantClient

from retrieval.filter_expressions import AnyOf, Between, Match, Not
from retrieval.visibility import OPEN, Scope, document_scope, store_scope
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.backends import KeywordVector, Point, Store
from retrieval.backends.embedded import EmbeddedBackend, IndexLocked
from retrieval.backends.remote import RemoteBackend

# Local mode has no payload indexes and says so; a server has.
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

ENCODER = KeywordEncoder()


@pytest.fixture(params=["edge", "server"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "edge":
        edge = EmbeddedBackend.open(tmp_path / "index" / "shard", 3)
        yield edge
        await edge.close()
        return
    client = AsyncQdrantClient(":memory:")
    yield await RemoteBackend.open(client, "chunks", 3)
    await client.close()


def point(number: int, text: str, dense: list[float], tenant: str = "kestrel", **payload: Any) -> Point:
    fields = {"tenant": tenant, "store": "vs", "document": "doc", "digest": f"d{number}", "from": 1, "to": OPEN}
    return Point(str(UUID(int=number)), dense, ENCODER.passage(text), {**fields, "text": text, **payload})


async def texts(store: Store, scope: Scope, dense: list[float], words: str, candidates: int = 10) -> set[str]:
    found = await store.search(scope, scope, dense, ENCODER.question(words), candidates)
    return {candidate.payload["text"] for candidate in found}


async def test_each_candidate_has_both_scores(store: Store) -> None:
    await store.upsert(
        [point(1, "warranty of the kettle", [1, 0, 0]), point(2, "price of the ferry", [0, 1, 0])]
        + [point(n, "nothing of interest", [0, 0, 1]) for n in range(3, 9)]
    )
    scope = store_scope("kestrel", "vs")
    # One candidate a list: the first is found by its vector only, the second by its words only.
    found = await store.search(scope, scope, [0.8, 0.6, 0], ENCODER.question("ferry price"), 1)
    by_text = {candidate.payload["text"]: candidate for candidate in found}
    assert set(by_text) == {"warranty of the kettle", "price of the ferry"}
    assert by_text["warranty of the kettle"].dense == pytest.approx(0.8, abs=1e-5)
    assert by_text["warranty of the kettle"].keyword == 0
    assert by_text["price of the ferry"].dense == pytest.approx(0.6, abs=1e-5)
    assert by_text["price of the ferry"].keyword > 1


async def test_a_question_of_stop_words_still_finds_by_meaning(store: Store) -> None:
    await store.upsert([point(1, "warranty", [1, 0, 0])])
    scope = store_scope("kestrel", "vs")
    assert ENCODER.question("of the") == KeywordVector([], [])
    assert await texts(store, scope, [1, 0, 0], "of the") == {"warranty"}


async def test_tenants_with_the_same_texts_never_meet(store: Store) -> None:
    await store.upsert(
        [
            point(1, "warranty", [1, 0, 0], owner="kestrel"),
            point(2, "warranty", [1, 0, 0], tenant="harbor", owner="harbor"),
        ]
    )
    for tenant in ("kestrel", "harbor"):
        scope = store_scope(tenant, "vs")
        found = await store.search(scope, scope, [1, 0, 0], ENCODER.question("warranty"), 10)
        assert [candidate.payload["owner"] for candidate in found] == [tenant]
    assert await store.vectors(store_scope("harbor", "vs"), ["d1"]) == {}
    await store.set_payload(store_scope("harbor", "vs"), {"text": "changed"})
    await store.delete(store_scope("harbor", "vs"))
    assert await texts(store, store_scope("kestrel", "vs"), [1, 0, 0], "warranty") == {"warranty"}
    assert await store.count() == 1


async def test_conditions_mean_the_same_everywhere(store: Store) -> None:
    await store.upsert(
        [
            point(1, "a", [1, 0, 0], where={"k61": "s:red", "k62": 1.5}),
            point(2, "b", [1, 0, 0], where={"k61": "s:blue", "k62": 2.0}),
            point(3, "c", [1, 0, 0], where={}),
        ]
    )
    base = store_scope("kestrel", "vs")
    for condition, expected in (
        (Match("where.k61", ("s:red",)), {"a"}),
        (Match("where.k61", ("s:red", "s:blue")), {"a", "b"}),
        (Not(Match("where.k61", ("s:red",))), {"b", "c"}),
        (Between("where.k62", gt=1.5), {"b"}),
        (Between("where.k62", gte=1.5, lt=2), {"a"}),
        (AnyOf((Match("where.k61", ("s:red",)), Between("where.k62", gte=2, lte=2))), {"a", "b"}),
        (Not(AnyOf((Match("where.k61", ("s:red",)), Between("where.k62", lte=2)))), {"c"}),
        (Match("where.k61", ("s:none",)), set[str]()),
    ):
        assert await texts(store, base.narrowed(condition), [1, 0, 0], "a b c") == expected, condition


async def test_an_upsert_of_the_same_id_replaces(store: Store) -> None:
    await store.upsert([point(1, "old", [1, 0, 0])])
    await store.upsert([point(1, "new", [1, 0, 0])])
    assert await texts(store, store_scope("kestrel", "vs"), [1, 0, 0], "old new") == {"new"}
    assert await store.count() == 1


async def test_vectors_are_found_by_digest_among_many_pages(store: Store) -> None:
    # One digest in 600 points hides the other, beyond the first pages of a scroll.
    await store.upsert([point(n, "same", [1, 0, 0], digest="same") for n in range(1, 601)])
    await store.upsert([point(999, "other", [0, 0.6, 0.8], digest="other")])
    found = await store.vectors(store_scope("kestrel", "vs"), ["same", "other", "none"])
    assert set(found) == {"same", "other"}
    assert found["other"] == pytest.approx([0, 0.6, 0.8], abs=1e-5)
    assert await store.vectors(store_scope("kestrel", "vs"), []) == {}


async def test_payload_and_delete_touch_their_scope_only(store: Store) -> None:
    await store.upsert([point(1, "one", [1, 0, 0], document="a"), point(2, "two", [1, 0, 0], document="b")])
    await store.set_payload(document_scope("kestrel", "vs", "a"), {"to": 7})
    base = store_scope("kestrel", "vs")
    assert await texts(store, base.narrowed(Between("to", lte=7)), [1, 0, 0], "one") == {"one"}
    assert await texts(store, base.narrowed(Between("to", gte=OPEN)), [1, 0, 0], "one") == {"two"}
    await store.delete(document_scope("kestrel", "vs", "a"))
    assert await texts(store, base, [1, 0, 0], "one two") == {"two"}


async def test_edge_keeps_its_points_and_has_one_owner(tmp_path: Path) -> None:
    folder = tmp_path / "shard"
    first = EmbeddedBackend.open(folder, 3)
    await first.upsert([point(1, "kept", [1, 0, 0])])
    with pytest.raises(IndexLocked, match="open in another process"):
        EmbeddedBackend.open(folder, 3)
    await first.close()
    second = EmbeddedBackend.open(folder, 3)
    assert await texts(second, store_scope("kestrel", "vs"), [1, 0, 0], "kept") == {"kept"}
    await second.close()


async def test_edge_weighs_words_by_the_corpus_of_the_reader(tmp_path: Path) -> None:
    store = EmbeddedBackend.open(tmp_path / "shard", 3)
    await store.upsert([point(1, "ferry kettle", [1, 0, 0]), point(2, "kettle", [1, 0, 0])])
    scope = store_scope("kestrel", "vs")

    async def score() -> float:
        found = await store.search(scope, scope, [1, 0, 0], ENCODER.question("ferry"), 10)
        return max(candidate.keyword for candidate in found)

    alone = await score()
    await store.upsert([point(n, "ferry", [0, 1, 0], tenant="harbor") for n in range(10, 60)])
    assert await score() == pytest.approx(alone)
    await store.close()
