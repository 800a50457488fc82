"""Copies: how long a run of words an answer has in common with texts that a model learnt."""

import re
from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["CopiedRun", "LearntTexts"]

_WORD = re.compile(r"\w+(?:['’.:-]\w+)*")
_SEED = 4  # words; shorter runs are everybody's


class CopiedRun(msgspec.Struct, frozen=True):
    """The longest run of words in common: their number, and the words."""

    words: int
    text: str


class LearntTexts:
    """Texts, prepared so that the runs of words that others share with them are found fast."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = [_split(text) for text in texts]
        self._places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for number, words in enumerate(self._texts):
            for at in range(len(words) - _SEED + 1):
                self._places.setdefault(tuple(words[at : at + _SEED]), []).append((number, at))

    def find_longest(self, answer: str) -> CopiedRun:
        """Return the longest run of at least four words that an answer shares with one of the texts."""
        words = _split(answer)
        longest: Sequence[str] = ()
        for at in range(len(words) - _SEED + 1):
            if len(words) - at <= len(longest):
                break
            for number, place in self._places.get(tuple(words[at : at + _SEED]), ()):
                length = _count_equal(words, at, self._texts[number], place)
                if length > len(longest):
                    longest = words[at : at + length]
        return CopiedRun(len(longest), " ".join(longest))


def _split(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _count_equal(words: Sequence[str], at: int, other: Sequence[str], place: int) -> int:
    length = 0
    while at + length < len(words) and place + length < len(other) and words[at + length] == other[place + length]:
        length += 1
    return length
