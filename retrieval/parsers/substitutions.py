"""The substitutions of reStructuredText: names with texts, `.. |price| replace:: 49 euros`, and where those stand."""

import re
from collections.abc import Sequence

from retrieval.parsers.text_page import find_end

__all__ = ["Substitutions"]

_ENTRY = re.compile(r"\.\.[ \t]+\|(?P<name>[^|\s](?:[^|]*[^|\s])?)\|[ \t]+replace::(?P<text>[ \t].*|\Z)")
_PLACE = re.compile(r"(?<![\w|\\`])\|([^|\s](?:[^|\n]{0,98}[^|\s])?)\|_{0,2}(?![\w|])")
_MOST = 2_000_000
"""Characters that texts may add to a document, together: each may stand in it a million times."""
_DEEPEST = 8
"""Texts in each other."""


class Substitutions:
    """Texts by name, wherever in the file they are given.

    Attributes:
        ends: Where each entry ends that a reader sees nothing of, by the line that it begins at: after `hide_used`.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.ends: dict[int, int] = {}
        self._entries: dict[str, tuple[int, int]] = {}
        self._texts: dict[str, str] = {}
        self._used_names = set[str]()
        self._open: list[str] = []
        self._added_characters = 0
        for at, line in enumerate(lines):
            if (entry := _ENTRY.match(line)) is not None:
                end = find_end(lines, at + 1, 0)
                if text := " ".join(" ".join([entry["text"], *lines[at + 1 : end]]).split()):
                    name = _join(entry["name"])
                    self._entries[name] = at, end
                    self._texts[name] = text
        self._names = {**{name.lower(): name for name in self._texts}, **{name: name for name in self._texts}}

    def fill_in(self, line: str) -> str:
        """Put texts in the places of their names; `|what|` that has none stays, and so does an entry."""
        if not self._texts or "|" not in line or _ENTRY.match(line):
            return line
        return _PLACE.sub(self._find, line)

    def hide_used(self) -> bool:
        """Leave entries out from now on whose texts were put somewhere; return whether there are any."""
        self.ends = dict(self._entries[name] for name in self._used_names)
        self._added_characters = 0
        return bool(self.ends)

    def _find(self, place: re.Match[str]) -> str:
        own = _join(place[1])
        name = self._names.get(own) or self._names.get(own.lower(), "")
        text = self._texts.get(name)
        if (
            text is None
            or self._added_characters + len(text) > _MOST
            or name in self._open
            or len(self._open) == _DEEPEST
        ):
            return place[0]
        self._added_characters += len(text)
        self._used_names.add(name)
        self._open.append(name)
        text = _PLACE.sub(self._find, text)
        self._open.pop()
        return text


def _join(name: str) -> str:
    return " ".join(name.split())
