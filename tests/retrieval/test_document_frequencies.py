"""The counts of corpora against a reader that is scripted."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence

import pytest

from retrieval.backends import KeywordVector, Point
from retrieval.backends.document_frequencies import DocumentFrequencies
from retrieval.messages import SearchQuery
from retrieval.priority_threads import Priority
from retrieval.visibility import Visibility, show_store, show_to_reader
from tests.waiting import until


class Corpora:
    """Points by tenant: each has two terms, 1 and its own number."""

    def __init__(self, **points: int) -> None:
        self.points = points
        self.reads: list[tuple[str, Priority]] = []
        self.frequencies = DocumentFrequencies(self.read)

    async def read(self, visibility: Visibility, priority: Priority) -> AsyncIterator[Sequence[Sequence[int]]]:
        self.reads.append((visibility.tenant, priority))
        await asyncio.sleep(0)
        yield [[1, 10 + number] for number in range(self.points[visibility.tenant])]

    async def weigh(self, tenant: str, *terms: int, epoch: int = 1, store: str = "vs") -> list[float]:
        query = SearchQuery(tenant=tenant, stores={store: epoch}, text="")
        return await self.frequencies.weigh(show_to_reader(query), terms)


def make_points(tenant: str, *terms: int, count: int = 1, store: str = "vs") -> list[Point]:
    payload = {"tenant": tenant, "store": store}
    return [Point(str(n), [], KeywordVector(list(terms), [1.0] * len(terms)), payload) for n in range(count)]


def weight(points: int, frequency: int) -> float:
    return math.log((points - frequency + 0.5) / (frequency + 0.5) + 1)


async def test_a_term_weighs_by_its_frequency_and_nothing_where_the_corpus_has_it_not() -> None:
    corpora = Corpora(kestrel=3, heron=1)
    assert await corpora.weigh("kestrel", 1, 10, 13) == pytest.approx([weight(3, 3), weight(3, 1), 0])
    assert await corpora.weigh("heron", 1, 11) == pytest.approx([weight(1, 1), 0])
    await asyncio.gather(*(corpora.weigh("kestrel", 1, epoch=2) for _ in range(5)))
    assert corpora.reads == [(tenant, Priority.QUERY) for tenant in ("kestrel", "heron", "kestrel")]


async def test_a_small_corpus_is_counted_anew_for_each_state_of_it() -> None:
    corpora = Corpora(kestrel=3)
    await corpora.weigh("kestrel", 1)
    await corpora.weigh("kestrel", 1)
    assert len(corpora.reads) == 1
    corpora.points["kestrel"] = 5
    assert await corpora.weigh("kestrel", 14, epoch=2) == pytest.approx([weight(5, 1)])
    corpora.points["kestrel"] = 6
    corpora.frequencies.add(make_points("heron", 1))
    corpora.frequencies.add(make_points("kestrel", 1, store="other"))
    assert await corpora.weigh("kestrel", 15, epoch=2) == [0]
    corpora.frequencies.add(make_points("kestrel", 1))
    assert await corpora.weigh("kestrel", 15, epoch=2) == pytest.approx([weight(6, 1)])
    corpora.points["kestrel"] = 4
    corpora.frequencies.remove(show_store("kestrel", "vs"))
    assert await corpora.weigh("kestrel", 15, 1, epoch=2) == pytest.approx([0, weight(4, 4)])


async def test_what_is_written_while_a_small_corpus_is_counted_is_counted_the_next_time() -> None:
    corpora = Corpora(kestrel=3)
    first = asyncio.create_task(corpora.weigh("kestrel", 1))
    await until(lambda: len(corpora.reads) == 1)
    corpora.frequencies.add(make_points("kestrel", 1))
    await first
    corpora.points["kestrel"] = 4
    assert await corpora.weigh("kestrel", 1) == pytest.approx([weight(4, 4)])


async def test_a_large_corpus_grows_by_what_is_written_and_is_counted_anew_when_a_tenth_has_come() -> None:
    corpora = Corpora(kestrel=2000, heron=2000)
    await corpora.weigh("kestrel", 1)
    corpora.frequencies.add(make_points("kestrel", 7, count=100))
    corpora.frequencies.add(make_points("heron", 7, count=100))
    corpora.frequencies.remove(show_store("kestrel", "vs"))
    assert await corpora.weigh("kestrel", 1, 7, epoch=2) == pytest.approx([weight(2100, 2000), weight(2100, 100)])
    assert len(corpora.reads) == 1
    corpora.points["kestrel"] = 2300
    corpora.frequencies.add(make_points("kestrel", 7, count=200))
    await corpora.weigh("kestrel", 7, epoch=3)
    await until(lambda: len(corpora.reads) == 2)
    assert corpora.reads[-1] == ("kestrel", Priority.INGEST), "no question waits for it"
    await corpora.frequencies.close()


async def test_a_corpus_of_several_stores_is_one() -> None:
    corpora = Corpora(kestrel=3)
    both = show_to_reader(SearchQuery(tenant="kestrel", stores={"a": 1, "b": 4}, text=""))
    assert await corpora.frequencies.weigh(both, [1]) == pytest.approx([weight(3, 3)])
    corpora.points["kestrel"] = 4
    corpora.frequencies.add(make_points("kestrel", 1, store="b"))
    assert await corpora.frequencies.weigh(both, [1]) == pytest.approx([weight(4, 4)])
