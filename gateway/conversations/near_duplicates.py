"""Texts that are nearly the same, found in about linear time: MinHash over runs of words, then compared in full."""

import zlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.evaluation.unspaced_scripts import split_words

__all__ = ["NearDuplicate", "NearDuplicates"]

_RUN = 3
"""Words of a shingle, or letters of a script without spaces."""

_BANDS, _ROWS = 20, 4
"""Two texts that share 0.8 of their shingles agree in some band with a probability of 1 - (1 - 0.8⁴)²⁰ > 0.9999, and
such that share 0.3 with one of 0.15, which the full comparison sorts out."""

_PRIME = (1 << 31) - 1
_SEED = 20261127
_BUCKET = 8
"""Texts of one bucket that a new one is compared with: those that are alike are compared with the first of them."""


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two texts, by their places in the sequence; `similarity` is the share of shingles that both have, 0..1."""

    first: int
    second: int
    similarity: float


class NearDuplicates:
    """Finds for each text the first earlier one that is nearly the same.

    Args:
        threshold: The least share of shingles in common (Jaccard), 0..1.
    """

    def __init__(self, threshold: float = 0.8) -> None:
        numbers = np.random.default_rng(_SEED)
        self._threshold = threshold
        self._factors = numbers.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.uint64)
        self._terms = numbers.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.uint64)

    def find(self, texts: Sequence[str]) -> list[NearDuplicate]:
        """Return a pair for each text that has an earlier one like it; case, spaces and signs don't count."""
        pairs: list[NearDuplicate] = []
        exact: dict[tuple[str, ...], int] = {}
        shingles: dict[int, frozenset[int]] = {}
        buckets: defaultdict[Hashable, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            words = tuple(split_words(text))
            first = exact.setdefault(words, place)
            if first != place:
                pairs.append(NearDuplicate(first, place, 1.0))
                continue
            own = _cut(words)
            if not own:
                continue  # too short to be nearly anything
            keys = self._find_keys(own)
            rivals = dict.fromkeys(rival for key in keys for rival in buckets[key][:_BUCKET])
            best = max(((_compare(own, shingles[rival]), -rival) for rival in rivals), default=(0.0, 0))
            if best[0] >= self._threshold:
                pairs.append(NearDuplicate(-best[1], place, round(best[0], 3)))
                continue
            shingles[place] = own
            for key in keys:
                buckets[key].append(place)
        return pairs

    def _find_keys(self, shingles: frozenset[int]) -> list[Hashable]:
        values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
        # In place of permutations; products of 31 bits by 32 bits fit into 64.
        hashes = (values[:, None] * self._factors[None, :] + self._terms[None, :]) % np.uint64(_PRIME)
        least = hashes.min(axis=0).reshape(_BANDS, _ROWS)
        return [(band, row.tobytes()) for band, row in enumerate(least)]


def _cut(words: Sequence[str]) -> frozenset[int]:
    return frozenset(
        zlib.crc32(" ".join(words[start : start + _RUN]).encode()) for start in range(len(words) - _RUN + 1)
    )


def _compare(first: frozenset[int], second: frozenset[int]) -> float:
    return len(first & second) / len(first | second)
