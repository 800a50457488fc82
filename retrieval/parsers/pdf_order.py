"""The order of characters in lines of Arabic and Hebrew, where pdfium turns around what isn't to be: two letters that
are drawn as one (`لا`), and a name with digits (`K2`). Each takes its own place or another's of the same word.
"""

import re
from collections.abc import Callable

__all__ = ["restore_order"]

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_NAME = re.compile(r"[A-Za-z0-9]+(?:[-+./:_][A-Za-z0-9]+)*")


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
        if _RIGHT_TO_LEFT.search(line):
            for match in _ALEF_LAM.finditer(line):
                place = match.start()
                if find_ends(start + place) == find_ends(start + place + 1):  # No sign is an alef before a lam.
                    characters[place : place + 2] = reversed(match[0])
            for match in _NAME.finditer(line):
                if not (re.search("[0-9]", match[0]) and re.search("[A-Za-z]", match[0])):
                    continue  # pdfium turns where the one meets the other
                places = sorted(range(*match.span()), key=lambda place: find_ends(start + place)[0])
                characters[slice(*match.span())] = [line[place] for place in places]
        lines.append("".join(characters))
        start += len(line)
    return "".join(lines)
