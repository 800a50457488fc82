"""Characters of a PDF's text layer that stand for others: hyphens at ends of lines, bullets, brackets of Arabic and
Hebrew. Each is replaced by one character, so that the places of all others stay.
"""

import re
from collections.abc import Callable

__all__ = ["restore_marks"]

# pdfium writes U+FFFE (or U+0002) for a hyphen at a line's end, and leaves that end out.
_HYPHEN = re.compile("[\ufffe\x02](?=[\r\n]*(\\S))")
_FAR = 2.5  # times the size of type: from a line to one that can't go on with it
_BULLET = re.compile("(?m)^[\ue000-\uf8ff](?=[ \t\xa0])")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_BRACKETS = dict(zip("()[]{}", ")(][}{", strict=True))
_OPENING = "([{"


def restore_marks(raw: str, measure_drop: Callable[[int, int], float]) -> str:
    """Return a page's text with the characters that are meant.

    Args:
        raw: As pdfium gives it.
        measure_drop: How far the line of the second character is below that of the first, in sizes of type; the
            characters are given by their places in `raw`.
    """
    raw = _HYPHEN.sub(lambda match: _read_hyphen(match, measure_drop), _BULLET.sub("•", raw))
    return "".join(map(_turn_brackets, raw.splitlines(keepends=True)))


def _read_hyphen(match: re.Match[str], measure_drop: Callable[[int, int], float]) -> str:
    """Return what parts a line from a footer, the hyphen of a compound (`Nord-Süd`), or the mark as it is."""
    if match.start() and measure_drop(match.start() - 1, match.start(1)) > _FAR:
        return "\n"
    before, after = match.string[match.start() - 1 : match.start()], match[1]
    return "-" if after.isdigit() or (after.isupper() and not before.isupper()) else match[0]


def _turn_brackets(line: str) -> str:
    """Turn the brackets of a line from right to left that close before they open: they are as they are drawn."""
    if not _RIGHT_TO_LEFT.search(line) or not set(line) & set(_BRACKETS):
        return line
    turned = "".join(_BRACKETS.get(character, character) for character in line)
    return turned if _count_pairs(turned) > _count_pairs(line) else line


def _count_pairs(line: str) -> int:
    pairs, awaited = 0, list[str]()
    for character in line:
        if character in _OPENING:
            awaited.append(_BRACKETS[character])
        elif awaited and character == awaited[-1]:
            awaited.pop()
            pairs += 1
    return pairs
