"""The order of passages that a release prefers, and which of them stay: boosts, copies, a share for each document."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gateway.assistants.release import Boost, RetrievalSpec
from retrieval.messages import Attribute, Passage

__all__ = ["RankedPassage", "arrange", "count_wanted"]

_MORE = 3
_MOST = 50
"""The number of passages that are looked at for each that may stay, and in all."""
_SHINGLE = 5
_ALIKE = 0.8
"""Share of two texts' runs of `_SHINGLE` words that both must have to be copies."""
_DAY = 86_400


class RankedPassage(msgspec.Struct, frozen=True):
    """A passage and what happened to it.

    Attributes:
        copies: Passages of other documents that say the same, and stand behind the same number.
        boost: The factor that its score was ranked with; the score itself stays the search's.
        neighbours: The number of chunks of its document that its text was extended by.
    """

    passage: Passage
    copies: tuple[Passage, ...] = ()
    boost: float = 1.0
    neighbours: int = 0


def count_wanted(spec: RetrievalSpec) -> int:
    """Return how many passages to search for, so that `top_k` are left."""
    if spec.boosts or spec.collapse_duplicates or spec.max_per_document:
        return min(max(_MORE * spec.top_k, spec.top_k), max(_MOST, spec.top_k))
    return spec.top_k


def arrange(passages: Sequence[Passage], spec: RetrievalSpec, now: float) -> list[RankedPassage]:
    """Return at most `top_k` of the passages, best first, as the release ranks them at `now` (Unix seconds)."""
    hits = [RankedPassage(passage) for passage in passages]
    if spec.boosts:
        boosts = spec.boosts
        hits = [RankedPassage(passage, boost=_find_factor(passage, boosts, now)) for passage in passages]
        hits.sort(key=lambda one: (-one.passage.score * one.boost, one.passage.id))
    if spec.collapse_duplicates:
        hits = _collapse(hits)
    if spec.max_per_document:
        hits = _limit_documents(hits, spec.max_per_document)
    return hits[: spec.top_k]


def _find_factor(passage: Passage, boosts: Sequence[Boost], now: float) -> float:
    """Return 1 and the weights of what holds for a passage, at least 0; of recency, the share that its age leaves."""
    factor = 1.0
    for boost in boosts:
        value = passage.attributes.get(boost.attribute)
        if value is None:
            continue
        if boost.half_life_days is None:
            factor += boost.weight * (value == boost.value and isinstance(value, bool) == isinstance(boost.value, bool))
        elif (moment := _read_moment(value)) is not None:
            factor += boost.weight * math.exp2(-max(now - moment, 0.0) / (boost.half_life_days * _DAY))
    return max(factor, 0.0)


def _read_moment(value: Attribute) -> float | None:
    """Return Unix seconds as they are, and those of an ISO date; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _collapse(hits: Sequence[RankedPassage]) -> list[RankedPassage]:
    """Put each copy of a better passage behind it."""
    leaders: list[tuple[RankedPassage, _Fingerprint]] = []
    for one in hits:
        fingerprint = _Fingerprint(one.passage)
        for at, (better, other) in enumerate(leaders):
            if fingerprint.is_copy_of(other):
                documents = {better.passage.document, *(copy.document for copy in better.copies)}
                if one.passage.document not in documents:
                    leaders[at] = (_add_copy(better, one.passage), other)
                break
        else:
            leaders.append((one, fingerprint))
    return [one for one, _fingerprint in leaders]


def _add_copy(better: RankedPassage, copy: Passage) -> RankedPassage:
    """Put a copy behind a passage, which stands for both documents then, also by their names."""
    names = dict.fromkeys(filter(None, (better.passage.name, copy.name)))
    passage = msgspec.structs.replace(better.passage, name=", ".join(names))
    return msgspec.structs.replace(better, passage=passage, copies=(*better.copies, copy))


class _Fingerprint:
    """A passage's words, to tell copies: same headings, same numbers in the same order, and nearly the same words."""

    def __init__(self, passage: Passage) -> None:
        words = re.findall(r"\w+", passage.text.lower())
        self._heading = " ".join(passage.heading.lower().split())
        self._numbers = [word for word in words if any(map(str.isdigit, word))]
        self._words = words
        self._shingles = {tuple(words[at : at + _SHINGLE]) for at in range(max(len(words) - _SHINGLE + 1, 1))}

    def is_copy_of(self, other: "_Fingerprint") -> bool:
        if self._numbers != other._numbers or (self._heading and other._heading and self._heading != other._heading):
            return False
        if self._words == other._words:
            return bool(self._words)
        both = len(self._shingles & other._shingles)
        return both >= _ALIKE * len(self._shingles | other._shingles)


def _limit_documents(hits: Sequence[RankedPassage], most: int) -> list[RankedPassage]:
    counts: Counter[str] = Counter()
    stay: list[RankedPassage] = []
    for one in hits:
        if counts[one.passage.document] < most:
            counts[one.passage.document] += 1
            stay.append(one)
    return stay
