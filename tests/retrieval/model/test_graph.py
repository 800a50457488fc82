"""The graph of the embedded index: built beside changes and searches, and none of them is lost by it."""

import asyncio
import ctypes
import random
from pathlib import Path

import pytest

from retrieval.backends import KeywordVector, Point
from retrieval.backends import embedded as embedded_module
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.graph import GraphNotBuilt, GraphPolicy, build_graph
from retrieval.backends.protocol import KEYWORDS
from retrieval.filter_expressions import Match
from retrieval.visibility import OPEN, show_document, show_store
from tests.waiting import until

pytestmark = pytest.mark.model

STORE = show_store("kestrel", "vs")
DIMENSIONS = 16
POLICY = GraphPolicy(least=200, kilobytes=8)


def make_point(number: int, tenant: str = "kestrel", text: str = "") -> Point:
    source = random.Random(number)
    payload = {"tenant": tenant, "store": "vs", "document": f"d{number}", "digest": f"{number}", "from": 1, "to": OPEN}
    vector = [source.gauss(0, 1) for _ in range(DIMENSIONS)]
    id = f"00000000-0000-0000-0000-{number:012}"
    words = KeywordVector([1, 10 + number % 7], [source.random() + 0.5 for _ in range(2)])
    return Point(id, vector, words, {**payload, "text": text})


async def ask(backend: EmbeddedBackend, number: int = 3) -> list[tuple[str, float, float]]:
    question = KeywordVector([1, 13], [1.0, 1.0])
    found = await backend.search(STORE, STORE, make_point(number).dense, question, 10)
    return sorted((one.id, round(one.dense, 4), round(one.keyword, 4)) for one in found)


def count_inside(backend: EmbeddedBackend) -> int:
    info = backend._shard.info()
    return info.indexed_vectors_count - info.points_count


async def test_a_graph_is_built_once_enough_points_came_and_finds_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "shard"
    backend = EmbeddedBackend.open(folder, DIMENSIONS, graph=POLICY)
    await backend.upsert([make_point(n, tenant) for n, tenant in enumerate(["kestrel", "heron"] * 150)])
    before = await ask(backend)
    await until(lambda: not backend.builds, 60)
    assert count_inside(backend) >= 300
    assert await ask(backend) == before
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]
    await backend.close()
    again = EmbeddedBackend.open(folder, DIMENSIONS)
    assert await ask(again) == before
    assert count_inside(again) >= 300
    await again.close()


async def test_what_changes_while_the_graph_is_built_stays_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = asyncio.Event()

    async def build_and_wait(folder: Path, dimensions: int, policy: GraphPolicy) -> None:
        await build_graph(folder, dimensions, policy)
        building.set()
        await changed.wait()

    building = asyncio.Event()
    monkeypatch.setattr(embedded_module, "build_graph", build_and_wait)
    backend = EmbeddedBackend.open(tmp_path / "shard", DIMENSIONS, graph=POLICY)
    await backend.upsert([make_point(n) for n in range(300)])
    await ask(backend)
    await building.wait()
    await backend.upsert([make_point(5, text="edited"), make_point(500, text="new")])
    await backend.delete(show_document("kestrel", "vs", "d7"))
    await backend.set_payload(show_document("kestrel", "vs", "d9"), {"to": 2})
    lost = asyncio.create_task(backend.delete(show_document("kestrel", "vs", "d8")))
    await asyncio.sleep(0)
    lost.cancel()
    expected = sorted(str(one) for one in await backend.read(STORE, ("document", "text", "to")))
    assert len(expected) in (299, 300)
    changed.set()
    await until(lambda: not backend.builds, 60)
    assert count_inside(backend) >= 290
    assert sorted(str(one) for one in await backend.read(STORE, ("document", "text", "to"))) == expected
    assert await backend.read(STORE.narrow(Match("document", ("d7",))), ("document",)) == []
    await backend.close()


async def test_points_that_come_while_a_graph_is_built_get_one_without_being_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building, written = asyncio.Event(), asyncio.Event()

    async def build_and_wait(folder: Path, dimensions: int, policy: GraphPolicy) -> None:
        building.set()
        await written.wait()
        await build_graph(folder, dimensions, policy)

    monkeypatch.setattr(embedded_module, "build_graph", build_and_wait)
    backend = EmbeddedBackend.open(tmp_path / "shard", DIMENSIONS, graph=POLICY)
    await backend.upsert([make_point(n) for n in range(300)])
    await building.wait()
    await backend.upsert([make_point(n) for n in range(300, 900)])
    written.set()
    await until(lambda: not backend.builds, 60)
    assert count_inside(backend) >= 900
    await backend.close()


async def test_the_words_of_a_built_index_are_in_a_file_and_not_on_the_heap(tmp_path: Path) -> None:
    backend = EmbeddedBackend.open(tmp_path / "shard", DIMENSIONS, graph=POLICY)
    await backend.upsert([make_point(n) for n in range(300)])
    await until(lambda: not backend.builds, 60)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if f"{tmp_path}/" in line]
    assert [line for line in mapped if f"vector_index-{KEYWORDS}/inverted_index" in line]
    await backend.close()


def read_private_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


async def test_the_memory_of_the_index_before_is_given_back_when_a_built_one_takes_its_place(tmp_path: Path) -> None:
    backend = EmbeddedBackend.open(tmp_path / "shard", DIMENSIONS, graph=GraphPolicy(least=12_000, kilobytes=8))
    for first in range(0, 12_000, 1000):
        await backend.upsert([make_point(n, text="words " * 100) for n in range(first, first + 1000)])
    await until(lambda: not backend.builds, 120)
    private = read_private_bytes()
    ctypes.CDLL(None).malloc_trim(0)
    assert private - read_private_bytes() < 4 * 1024**2
    await backend.close()


async def test_a_build_that_fails_leaves_the_index_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(folder: Path, dimensions: int, policy: GraphPolicy) -> None:
        raise GraphNotBuilt("no memory")

    monkeypatch.setattr(embedded_module, "build_graph", fail)
    backend = EmbeddedBackend.open(tmp_path / "shard", DIMENSIONS, graph=POLICY)
    await backend.upsert([make_point(n) for n in range(300)])
    await until(lambda: not backend.builds, 60)
    assert len(await ask(backend)) >= 10
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]
    await backend.close()
    with pytest.raises(GraphNotBuilt, match="ended with"):
        await build_graph(tmp_path / "nothing", DIMENSIONS, POLICY)


@pytest.mark.parametrize("place", ["moved away", "both"])
async def test_a_kill_in_the_exchange_is_mended_by_the_next_start(tmp_path: Path, place: str) -> None:
    folder, replaced = tmp_path / "shard", tmp_path / "shard.replaced.unfinished"
    backend = EmbeddedBackend.open(folder, DIMENSIONS)
    await backend.upsert([make_point(n) for n in range(20)])
    before = await ask(backend)
    await backend.close()
    (tmp_path / "shard.copy-1.unfinished").mkdir()
    if place == "moved away":
        folder.rename(replaced)
    else:
        replaced.mkdir()
    backend = EmbeddedBackend.open(folder, DIMENSIONS)
    assert await ask(backend) == before
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]
    await backend.close()


async def test_the_process_that_builds_gets_none_of_the_retriever_s_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str] | None] = []

    async def start(*_command: str, env: dict[str, str] | None = None, **_options: object) -> None:
        environments.append(env)
        raise GraphNotBuilt("enough is known")

    monkeypatch.setenv("RERANKER_API_KEY", "secret")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    with pytest.raises(GraphNotBuilt, match="enough"):
        await build_graph(tmp_path, DIMENSIONS, POLICY)
    assert environments[0] is not None
    assert "secret" not in environments[0].values()


@pytest.mark.parametrize(
    ("points", "inside", "wants"),
    [(9_999, 0, False), (10_000, 0, True), (49_999, 40_000, False), (50_000, 40_000, True), (100_000, 80_001, False)],
)
def test_a_graph_that_lacks_a_fifth_of_all_points_is_built_anew(points: int, inside: int, wants: bool) -> None:
    assert GraphPolicy().wants(points, inside) == wants
