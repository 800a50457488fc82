"""Copies: how long a run of words an answer has in common with texts that a model learnt."""

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from gateway.evaluation.unspaced_scripts import count_words, join_words, split_words

__all__ = ["CopiedRun", "LearntTexts"]

_SEED = 4  # words; shorter runs are everybody's


class CopiedRun(msgspec.Struct, frozen=True):
    """The longest run of words in common: their number, and the words.

    Two letters of a script without spaces between words count as one.
    """

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
        own = _split(answer)
        longest: Sequence[str] = ()
        for at in range(len(own) - _SEED + 1):
            if len(own) - at <= len(longest):
                break
            for number, place in self._places.get(tuple(own[at : at + _SEED]), ()):
                length = _count_equal(own, at, self._texts[number], place)
                if length > len(longest):
                    longest = own[at : at + length]
        words = count_words(longest)
        return CopiedRun(words, join_words(longest)) if words >= _SEED else CopiedRun(0, "")


_split = partial(split_words, joined=True)


def _count_equal(words: Sequence[str], at: int, other: Sequence[str], place: int) -> int:
    length = 0
    while at + length < len(words) and place + length < len(other) and words[at + length] == other[place + length]:
        length += 1
    return length
