"""The macros of an Org document: names that it gives texts, `#+MACRO: price 49 euros`, and where those stand."""

import re
from collections.abc import Iterable

__all__ = ["Macros"]

_ENTRY = re.compile(r"[ \t]*#\+MACRO:[ \t]+([A-Za-z][\w-]*)[ \t]+(.*)", re.I)
_PLACE = re.compile(r"\{\{\{([A-Za-z][\w-]{0,99})(?:\(([^{}()]{0,999})\))?\}\}\}")
_ARGUMENT = re.compile(r"\$([1-9])")
_MOST = 2_000_000
"""Characters that texts may add to a document, together: each may stand in it a million times."""


class Macros:
    """Texts by name, wherever in the file they are given; those that a program makes, `(eval …)`, aren't known."""

    def __init__(self, lines: Iterable[str]) -> None:
        entries = (_ENTRY.fullmatch(line) for line in lines if "#+" in line)
        self._texts = {one[1].lower(): one[2] for one in entries if one is not None and not one[2].startswith("(eval")}
        self._added_characters = 0

    def fill_in(self, line: str) -> str:
        """Put texts in the places of their names; `{{{what}}}` that has none stays."""
        return _PLACE.sub(self._find, line) if self._texts and "{{{" in line else line

    def _find(self, place: re.Match[str]) -> str:
        text = self._texts.get(place[1].lower())
        if text is None or self._added_characters + len(text) > _MOST:
            return place[0]
        arguments = [word.strip().replace("\\,", ",") for word in re.split(r"(?<!\\),", place[2] or "")]
        words = _ARGUMENT.sub(lambda match: "".join(arguments[int(match[1]) - 1 : int(match[1])]), text)
        if self._added_characters + len(words) > _MOST:
            return place[0]
        self._added_characters += len(words)
        return words
