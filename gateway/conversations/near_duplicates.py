"""Texts that are nearly the same, found in about linear time: MinHash over runs of words, then compared in full."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gateway.evaluation.unspaced_scripts import split_words

__all__ = ["NearDuplicate", "NearDuplicates"]

_Shingles = NDArray[np.uint32]

_RUN = 3
"""Words of a shingle, or letters of a script without spaces."""

_THRESHOLD = 0.8
"""The least share of shingles that two texts have in common (Jaccard)."""
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
    """Finds for each text the first earlier one that is nearly the same."""

    def __init__(self) -> None:
        numbers = np.random.default_rng(_SEED)
        self._factors = numbers.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.uint64)
        self._terms = numbers.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.uint64)
        self._mixers = numbers.integers(0, 1 << 62, (_BANDS, _ROWS), dtype=np.uint64) * np.uint64(2) + np.uint64(1)

    def find(self, texts: Sequence[str]) -> list[NearDuplicate]:
        """Return a pair for each text that has an earlier one like it; case, spaces and signs don't count."""
        pairs: list[NearDuplicate] = []
        # Of a text only hashes are kept: 5,000 of 180 words are 12 MB so, and were 138 as words and sets.
        exact: dict[bytes, int] = {}
        shingles: dict[int, _Shingles] = {}
        buckets: dict[int, int | list[int]] = {}
        for place, text in enumerate(texts):
            words = split_words(text)
            first = exact.setdefault(blake2b("\0".join(words).encode(errors="replace"), digest_size=16).digest(), place)
            if first != place:
                pairs.append(NearDuplicate(first, place, 1.0))
                continue
            own = _cut(words)
            if not own.size:
                continue  # too short to be nearly anything
            keys = self._find_keys(own)
            rivals = dict.fromkeys(rival for key in keys for rival in _get_rivals(buckets, key))
            best = max(((_compare(own, shingles[rival]), -rival) for rival in rivals), default=(0.0, 0))
            if best[0] >= _THRESHOLD:
                pairs.append(NearDuplicate(-best[1], place, round(best[0], 3)))
                continue
            shingles[place] = own
            for key in keys:
                _add(buckets, key, place)
        return pairs

    def _find_keys(self, shingles: _Shingles) -> list[int]:
        values = shingles.astype(np.uint64)
        # In place of permutations; products of 31 bits by 32 bits fit into 64.
        hashes = (values[:, None] * self._factors[None, :] + self._terms[None, :]) % np.uint64(_PRIME)
        # Each band's numbers as one: two that meet in it by chance are told apart by the full comparison.
        keys = np.bitwise_xor.reduce(hashes.min(axis=0).reshape(_BANDS, _ROWS) * self._mixers, axis=1)
        return keys.tolist()


def _get_rivals(buckets: Mapping[int, int | list[int]], key: int) -> list[int]:
    places = buckets.get(key, [])
    return places if isinstance(places, list) else [places]


def _add(buckets: dict[int, int | list[int]], key: int, place: int) -> None:
    """Put a place into a bucket; most have one alone, which needs no list."""
    places = buckets.setdefault(key, place)
    if places == place:
        return
    if isinstance(places, int):
        buckets[key] = [places, place]
    elif len(places) < _BUCKET:
        places.append(place)


def _cut(words: Sequence[str]) -> _Shingles:
    runs = {
        zlib.crc32(" ".join(words[start : start + _RUN]).encode(errors="replace"))
        for start in range(len(words) - _RUN + 1)
    }
    return np.fromiter(runs, dtype=np.uint32, count=len(runs))


def _compare(first: _Shingles, second: _Shingles) -> float:
    shared = np.intersect1d(first, second, assume_unique=True).size
    return shared / (first.size + second.size - shared)
