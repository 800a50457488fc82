"""The substitutions of reStructuredText: names with texts, `.. |price| replace:: 49 euros`, and where those stand."""

import re
from collections import Counter
from collections.abc import Sequence

from retrieval.parsers.text_page import find_end

__all__ = ["Substitutions"]

_ENTRY = re.compile(r"\.\.[ \t]+\|(?P<name>[^|\s](?:[^|]*[^|\s])?)\|[ \t]+replace::(?P<text>[ \t].*|\Z)")
_PLACE = re.compile(r"(?<![\w|\\])\|([^|\s](?:[^|\n]{0,98}[^|\s])?)\|_{0,2}(?![\w|])")
_MOST = 2_000_000
"""Characters that texts may add to a document, together: each may stand in it a million times."""


class Substitutions:
    """Texts by name, wherever in the file they are given.

    Attributes:
        ends: Where each entry ends whose text stands somewhere, by the line that it begins at: a reader sees it there.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.ends: dict[int, int] = {}
        self._texts: dict[str, str] = {}
        self._added = 0
        entries = {at: entry for at, line in enumerate(lines) if (entry := _ENTRY.match(line)) is not None}
        if not entries:
            return
        uses = Counter(_fold(place[1]) for line in lines if "|" in line for place in _PLACE.finditer(line))
        for at, entry in entries.items():
            end = find_end(lines, at + 1, 0)
            text = " ".join(" ".join([entry["text"], *lines[at + 1 : end]]).split())
            name = _fold(entry["name"])
            if text and uses[name] > 1:
                self._texts[name] = text
                self.ends[at] = end

    def fill_in(self, line: str) -> str:
        """Put texts in the places of their names; `|what|` that has none stays."""
        return _PLACE.sub(self._find, line) if self._texts and "|" in line else line

    def _find(self, place: re.Match[str]) -> str:
        text = self._texts.get(_fold(place[1]))
        if text is None or self._added + len(text) > _MOST:
            return place[0]
        self._added += len(text)
        return text


def _fold(name: str) -> str:
    return " ".join(name.lower().split())
