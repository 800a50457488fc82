"""Names, numbers and identifiers of a question, and whether a passage has them as a whole.

A passage about the `K2 Pro` says nothing about the `K2`, nor the other way round. What is a name follows from how words
are written, by the language of the question where capitals tell: no list of names, and none of a store's words.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from retrieval.keyword_encoder import split_words
from retrieval.languages import count_function_words

__all__ = ["Name", "find_missing", "match_other_numbers", "read_names"]

_MOST_NAMES = 64

_PIECE = re.compile(r"[^\s,;?!()\[\]{}<>|/\"'„“”«»]+")
_AROUND = ".:-*#`"
_SENTENCE_END = re.compile(r"[.:?!\n]")
_LISTING = re.compile(r"\s*[,/|]\s*")
_SIGN = re.compile(r"\d|_|[a-z][A-Z]|^[A-Z]{2,}$|\w(?:\.|::?)\w")
"""Of what is a name wherever it stands: digits, `snake_case`, `camelCase`, capitals only, `sys.path`."""

_PARTS = re.compile(r"\d+|\D+")
_GAP = r"[ \t-]?"
_LONGEST_NUMBERED = 100
"""Characters of names whose numbers are looked at: patterns of longer ones take seconds."""

_FOLLOWER = re.compile(r"[ \t]+([^\W\d_]+)(?!\w)")
_NOUNS = "german"
"""The language that writes every noun with a capital, which tells no names there."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a question.

    Attributes:
        text: As it is written, in NFKC.
        before: The name right before it, or "": in `K2 Pro`, `K2` is before `Pro`.
        behind: Likewise the one right behind it.
        share: Its part of one name: those of a list (`BSD, Linux/Hurd`) count as one together.
    """

    text: str
    before: str = ""
    behind: str = ""
    share: float = 1.0

    def stands_in(self, passage: str, passages: str) -> bool:
        """Tell whether a passage has it otherwise than as a part of a longer name.

        Behind the name before it, unless the passage hasn't that: who asks for the `Kestrel K2` may read of the `K2`.

        Args:
            passage: In NFKC.
            passages: All that were found, in NFKC: a word that they have in small letters is part of no name, wherever
                it has a capital, as in headings.
        """
        pattern = _compile(self.text)
        if self.before and _compile(self.before).search(passage):
            pattern = _compile(self.before, self.text)
        return any(
            not self._goes_on(_FOLLOWER.match(passage, match.end()), passages) for match in pattern.finditer(passage)
        )

    def _goes_on(self, follower: re.Match[str] | None, passages: str) -> bool:
        if follower is None or not follower[1][0].isupper():
            return False
        word = follower[1].lower()
        return word != self.behind.lower() and not _compile_exactly(word).search(passages)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a question between spaces and marks; `name` is "" where it is none.

    Between `adjoins` and the piece before are only spaces, between `lists` and that one a comma or a slash.
    """

    name: str = ""
    adjoins: bool = False
    lists: bool = False


def read_names(question: str, passages: Sequence[str]) -> list[Name]:
    """Return what looks like a name in a question, each once, in their order.

    `passages` are those that were found: they say the language where the question doesn't.
    """
    text = unicodedata.normalize("NFKC", question)
    pieces = _cut(text, capitals_tell=not _capitalizes_nouns(text, passages))
    lists = _number_lists(pieces)
    sizes = Counter(lists)
    around = zip([_Piece(), *pieces], pieces, [*pieces[1:], _Piece()], lists, strict=False)
    names = [
        Name(
            piece.name,
            before.name if piece.adjoins else "",
            behind.name if behind.adjoins else "",
            1 / sizes[number],
        )
        for before, piece, behind, number in around
        if piece.name
    ]
    return list(dict.fromkeys(names))[:_MOST_NAMES]


def find_missing(names: Sequence[Name], passages: Sequence[str]) -> list[list[Name]]:
    """Return for each passage, in NFKC, the names that it hasn't as a whole."""
    whole = "\n".join(passages)
    return [[name for name in names if not name.stands_in(passage, whole)] for passage in passages]


def match_other_numbers(names: Sequence[Name], missing: Sequence[Sequence[Name]], passages: Sequence[str]) -> bool:
    """Tell whether passages have, in the place of a name that all of them miss, one with another number.

    They are about the `K3` and the `K30`, then, and the `K77` isn't in them. A number by itself says nothing of the
    kind, nor does one before its unit: `2024`, `5kg` and `14-day` stand in questions that no document has to repeat.
    Nor is a `K77` away that passages write `K 77` or `K-77`.
    """
    absent = {name.text for name in names if all(name in one for one in missing) and _is_numbered(name.text)}
    return any(
        match[0].casefold() != text.casefold()
        for text in absent
        if not any(_compile_apart(text).search(passage) for passage in passages)
        for passage in passages
        for match in _compile_siblings(text).finditer(passage)
    )


def _is_numbered(name: str) -> bool:
    """Tell whether a name has letters and, behind the first of them, a number."""
    first, *others = _PARTS.findall(name[: _LONGEST_NUMBERED + 1])
    return len(name) <= _LONGEST_NUMBERED and bool(others) and any(map(str.isalpha, first))


def _cut(text: str, *, capitals_tell: bool) -> list[_Piece]:
    pieces: list[_Piece] = []
    end = 0
    for match in _PIECE.finditer(text):
        word = match[0].strip(_AROUND)
        if not word:
            continue
        start = match.start() + match[0].index(word)
        gap = text[end:start]
        inside = end > 0 and not _SENTENCE_END.search(gap)
        capital = capitals_tell and inside and len(word) > 1 and word[0].isupper()
        name = word if capital or _SIGN.search(word) else ""
        pieces.append(_Piece(name, inside and not gap.strip(" "), _LISTING.fullmatch(gap) is not None))
        end = start + len(word)
    return pieces


def _number_lists(pieces: Sequence[_Piece]) -> list[int]:
    """Return for each piece the number of its list, which is another one than before unless both are names in one."""
    numbers: list[int] = []
    for before, piece in zip([_Piece(), *pieces], pieces, strict=False):
        same = piece.lists and before.name and piece.name
        numbers.append(numbers[-1] if same else len(numbers))
    return numbers


def _capitalizes_nouns(text: str, passages: Sequence[str]) -> bool:
    counts = _count(text)
    if not _may_be_german(counts):
        return False
    if [language for language, count in counts.items() if count == counts[_NOUNS]] == [_NOUNS]:
        return True
    return _may_be_german(sum(map(_count, passages), Counter[str]()))


def _may_be_german(counts: Counter[str]) -> bool:
    return counts[_NOUNS] == max(counts.values(), default=0)


def _count(text: str) -> Counter[str]:
    return count_function_words(split_words(text))


@lru_cache(maxsize=1024)
def _compile_siblings(name: str) -> re.Pattern[str]:
    """Return the pattern of names of the same letters with any numbers, of which the name itself is one."""
    spelling = "".join(r"\d+" if part[0].isdigit() else re.escape(part) for part in _PARTS.findall(name))
    return re.compile(rf"(?<!\w){spelling}(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _compile_apart(name: str) -> re.Pattern[str]:
    """Return the pattern of a name whose letters and numbers may stand apart; it may be part of no longer number."""
    parts = [re.escape(part.strip("-")) for part in _PARTS.findall(name)]
    return re.compile(rf"(?<!\w){_GAP.join(parts)}(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _compile(*words: str) -> re.Pattern[str]:
    spelling = r"[ \t]+".join(map(re.escape, words))
    return re.compile(rf"(?<!\w){spelling}(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _compile_exactly(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
