"""The order of characters in lines of Arabic and Hebrew, where pdfium turns around what isn't to be: letters that are
drawn as one (`لا`), and a name with digits (`K2`). Each takes its own place or another's of the same word.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

__all__ = ["restore_order"]

_LETTER = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_WORDS = re.compile(f"[{_LETTER}](?:[{_LETTER} ]*[{_LETTER}])?")
_NAME = re.compile(r"[A-Za-z0-9]+(?:[-+./:_][A-Za-z0-9]+)*")
_SIGNS = frozenset(
    unicodedata.normalize("NFKC", chr(code)) for code in (*range(0xFB1D, 0xFE00), *range(0xFE70, 0xFEFD))
)
"""The letters that Unicode's signs for several of them mean (`ﷲ`); pdfium takes them apart in the right order."""


def restore_order(raw: str, find_ends: Callable[[int], tuple[float, float]]) -> str:
    """Return a page's text with such characters in the order in which they are read.

    Args:
        raw: As pdfium gives it.
        find_ends: Where the character at a place in `raw` begins and ends on the page.
    """
    lines: list[str] = []
    start = 0
    for line in raw.splitlines(keepends=True):
        characters = list(line)
        words = list(_WORDS.finditer(line))
        for match in words:
            for place, sign in _list_signs(match[0], [find_ends(start + place) for place in range(*match.span())]):
                first = match.start() + place
                characters[first : first + len(sign)] = sign if _is_ordered(sign) else reversed(sign)
        for match in _NAME.finditer(line) if words else ():
            if not (re.search("[0-9]", match[0]) and re.search("[A-Za-z]", match[0])):
                continue  # pdfium turns where the one meets the other
            places = sorted(range(*match.span()), key=lambda place: find_ends(start + place)[0])
            characters[slice(*match.span())] = [line[place] for place in places]
        lines.append("".join(characters))
        start += len(line)
    return "".join(lines)


def _list_signs(words: str, ends: Sequence[tuple[float, float]]) -> Iterator[tuple[int, str]]:
    """Yield the letters that are drawn as one sign, each with its place."""
    for (left, right), places in groupby(range(len(words)), key=ends.__getitem__):
        if left < right:
            first, *more = places
            yield first, words[first : first + 1 + len(more)]


def _is_ordered(sign: str) -> bool:
    return len(sign) == 1 or (sign in _SIGNS and sign[::-1] not in _SIGNS)
