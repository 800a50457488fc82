"""Raised and lowered digits, which must not become part of the number that they stand behind.

`49¹` has a note, `10⁻⁶` an exponent; as plain text they would be 491 and 10-6. Parsers put marks around what their
files raise or lower, and the marks become characters where digits would meet. Unicode's own raised digits are no way
out: search takes `¹` for `1`.
"""

import re
from collections.abc import Iterable

__all__ = ["LEVEL", "LOWERED", "RAISED", "mark_runs", "write_scripts"]

RAISED, LOWERED, LEVEL = "\x0e", "\x10", "\x0f"
"""Marks of where text is raised, lowered, and on the line again: characters that no text has."""

_PARTED = re.compile(f"(?P<mark>[{RAISED}{LOWERED}])(?P<text>[^{RAISED}{LOWERED}{LEVEL}]*){LEVEL}(?P=mark)")
_CROSSED = re.compile(f"{LEVEL}(?=[{RAISED}{LOWERED}])")
_FRACTION = re.compile(rf"(?<=\d){RAISED}(?=\d+{LEVEL}?[/\u2044])")
_NUMBER = rf"(?=\(?[+\-\u2212\u2013]?[{RAISED}{LOWERED}]?\d)"
"""The beginning of a number, maybe with a sign that stands higher or lower by itself."""

_EXPONENT = re.compile(rf"(?<=\d){RAISED}{_NUMBER}")
_BASE = re.compile(rf"(?<=\d){LOWERED}{_NUMBER}")
_END = re.compile(rf"(?<=\d){LEVEL}(?=\d)")
_MARKS = re.compile(f"[{RAISED}{LOWERED}{LEVEL}]")


def mark_runs(parts: Iterable[str]) -> str:
    """Join parts of a text, some of them marked: programs part texts anywhere, so what is raised in two runs is one."""
    text = "".join(parts)
    while (shorter := _PARTED.sub(r"\g<mark>\g<text>", text)) != text:
        text = shorter
    return text


def write_scripts(text: str) -> str:
    """Write `^` before a raised number behind another, `_` before a lowered one, and a space where it ends at a digit.

    A raised number before a stroke is that of a fraction, `5 1/2`. Letters stay as they are (`1st`, `m2`, `H2O`).
    """
    if _MARKS.search(text) is None:
        return text
    text = _CROSSED.sub("", text)
    text = _EXPONENT.sub("^", _FRACTION.sub(" ", text))
    return _MARKS.sub("", _END.sub(" ", _BASE.sub("_", text)))
