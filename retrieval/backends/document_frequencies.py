"""The weight of each term in a corpus, counted once and kept, for an engine that would count anew for each question.

An engine that weighs terms by the corpus of a filter looks at every point of the corpus for each search. Counted once,
the corpus of a store with 50,000 points costs a question nothing.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.backends.protocol import Point
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not, list_parts
from retrieval.priority_threads import Priority
from retrieval.visibility import Visibility

__all__ = ["DocumentFrequencies", "ReadTerms"]

ReadTerms = Callable[[Visibility, Priority], AsyncIterator[Sequence[Sequence[int]]]]
"""Reads the terms of every point of a visibility, a page of points at a time."""

_EXACT = 1000
"""Points up to which a corpus is counted anew for each state of it; a larger one changes little by an edit."""

_DRIFT = 0.1
"""Share of a larger corpus that may have come since it was counted."""

_STALE_SECONDS = 600.0
"""After which a larger corpus that changed is counted again, however little came: what goes isn't noticed."""

_MOST_CORPORA = 64


@dataclass(slots=True)
class _Counts:
    """The number of points of a corpus, and of those that have each term."""

    corpus: Visibility
    points: int = 0
    by_term: Counter[int] = field(default_factory=Counter[int])
    new_points: int = 0
    counted_at: float = field(default_factory=time.monotonic)

    @property
    def exact(self) -> bool:
        return self.points <= _EXACT

    def add(self, terms: Sequence[int]) -> None:
        self.points += 1
        self.by_term.update(terms)

    def weigh(self, term: int) -> float:
        frequency = self.by_term.get(term, 0)
        if frequency == 0:
            return 0.0
        return math.log((self.points - frequency + 0.5) / (frequency + 0.5) + 1)


class DocumentFrequencies:
    """Counts of the corpora that were asked for last.

    One of at most a thousand points is always that of its visibility. Of a larger one, what is written counts at once,
    before readers see it, and what is removed at the next count: in the background, when a tenth has come or ten
    minutes have gone by. Weights are those of Qdrant: `ln((n - df + 0.5) / (df + 0.5) + 1)`.
    """

    def __init__(self, read: ReadTerms) -> None:
        self._read = read
        self._corpora: OrderedDict[Visibility, _Counts] = OrderedDict()
        self._counting: dict[Visibility, asyncio.Task[_Counts]] = {}
        self._changes = 0

    async def weigh(self, corpus: Visibility, terms: Sequence[int]) -> list[float]:
        """Return the weight of each term; 0 for one that the corpus hasn't."""
        counts = await self._find(corpus)
        return [counts.weigh(term) for term in terms]

    def add(self, points: Sequence[Point]) -> None:
        """Take note of points that were written."""
        self._changes += 1
        for key, counts in list(self._corpora.items()):
            new = [point for point in points if _covers(key.condition, point.payload)]
            if new and counts.exact:
                del self._corpora[key]
                continue
            for point in new:
                counts.add(point.keywords.indices)
            counts.new_points += len(new)

    def remove(self, visibility: Visibility) -> None:
        """Take note that points were deleted."""
        self._changes += 1
        for key, counts in list(self._corpora.items()):
            if key.tenant == visibility.tenant and counts.exact:
                del self._corpora[key]

    async def close(self) -> None:
        tasks = list(self._counting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, corpus: Visibility) -> _Counts:
        key = Visibility(corpus.tenant, _without_index_epochs(corpus.within))
        counts = self._corpora.get(key)
        if counts is None or (counts.exact and counts.corpus != corpus):
            return await asyncio.shield(self._count(key, corpus, Priority.QUERY))
        self._corpora.move_to_end(key)
        if not counts.exact and self._is_stale(counts, corpus):
            self._count(key, corpus, Priority.INGEST)
        return counts

    def _is_stale(self, counts: _Counts, corpus: Visibility) -> bool:
        if counts.new_points > _DRIFT * counts.points:
            return True
        has_changed = counts.new_points > 0 or counts.corpus != corpus
        return has_changed and time.monotonic() - counts.counted_at > _STALE_SECONDS

    def _count(self, key: Visibility, corpus: Visibility, priority: Priority) -> asyncio.Task[_Counts]:
        """Count a corpus, unless it is being counted."""
        task = self._counting.get(key)
        if task is None or task.done():
            task = asyncio.create_task(self._count_corpus(key, corpus, priority), name="document frequencies")
            self._counting[key] = task
            task.add_done_callback(lambda _: self._counting.pop(key, None))
        return task

    async def _count_corpus(self, key: Visibility, corpus: Visibility, priority: Priority) -> _Counts:
        counts, changes = _Counts(corpus), self._changes
        async for page in self._read(corpus, priority):
            for terms in page:
                counts.add(terms)
        if not counts.exact or changes == self._changes:
            self._corpora[key] = counts
            self._corpora.move_to_end(key)
            while len(self._corpora) > _MOST_CORPORA:
                self._corpora.popitem(last=False)
        return counts


def _without_index_epochs(condition: Condition) -> Condition:
    """Return a reader's condition without index epochs: the same for each state of the same stores."""
    match condition:
        case All():
            others = tuple(part for part in list_parts(condition) if not isinstance(part, Between))
            return All(tuple(_without_index_epochs(part) for part in others)) if others else condition
        case AnyOf(parts):
            return AnyOf(tuple(_without_index_epochs(part) for part in parts))
        case _:
            return condition


def _covers(condition: Condition, payload: Mapping[str, Any]) -> bool:
    match condition:
        case Match(key, values):
            return payload.get(key) in values
        case All(parts):
            return all(_covers(part, payload) for part in parts)
        case AnyOf(parts):
            return any(_covers(part, payload) for part in parts)
        case Not(part):
            return not _covers(part, payload)
        case Between():
            return True
