"""The attributes of an AsciiDoc document: names that it gives values, and where those stand in its text."""

import re
from collections.abc import Sequence

__all__ = ["Attributes"]

_ENTRY = re.compile(r":(!?)(\w[\w-]*)(!?):(?:[ \t]+(.*))?")
_PLACE = re.compile(r"(\\?)\{(\w[\w-]*)\}")
_MOST = 2_000_000
"""Characters that values may add to a text, together: each may stand in it a million times."""

_SIGNS = {
    **{"nbsp": " ", "sp": " ", "blank": "", "empty": "", "zwsp": "", "wj": "", "shy": ""},
    **{"amp": "&", "lt": "<", "gt": ">", "plus": "+", "pp": "++", "cpp": "C++", "quot": '"', "apos": "'"},
    **{"lsquo": "‘", "rsquo": "’", "ldquo": "“", "rdquo": "”", "deg": "°", "brvbar": "¦", "vbar": "|"},
    **{"startsb": "[", "endsb": "]", "caret": "^", "asterisk": "*", "tilde": "~", "backslash": "\\", "backtick": "`"},
    **{"two-colons": "::", "two-semicolons": ";;"},
}


class Attributes:
    """Values by name, as they are at the line that is read: a later entry holds from there on."""

    def __init__(self) -> None:
        self._values = dict(_SIGNS)
        self._added_characters = 0

    def read(self, lines: Sequence[str], at: int) -> int:
        """Read an entry, `:price: 49 euros`, if one begins at a line; return the number of its lines."""
        entry = _ENTRY.fullmatch(lines[at])
        if entry is None:
            return 0
        before, name, behind, value = entry.groups("")
        length = 1
        parts = [value]
        while parts[-1].endswith(" \\") and at + length < len(lines):
            parts[-1] = parts[-1][:-2].removesuffix(" +")
            parts.append(f" {lines[at + length].strip()}")
            length += 1
        value = self.fill_in("".join(parts).strip())
        if before or behind:
            self._values.pop(name.lower(), None)
        else:
            self._values[name.lower()] = value
        return length

    def get_value(self, name: str) -> str:
        return self._values.get(name, "")

    def fill_in(self, text: str) -> str:
        """Put values in the places of their names; `{what}` that has none stays."""
        return _PLACE.sub(self._find, text) if "{" in text else text

    def _find(self, place: re.Match[str]) -> str:
        value = self._values.get(place[2].lower())
        if place[1] or value is None:
            return place[0].removeprefix("\\") if value is not None else place[0]
        if self._added_characters + len(value) > _MOST:
            return place[0]
        self._added_characters += len(value)
        return value
