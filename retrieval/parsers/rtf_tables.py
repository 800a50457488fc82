"""The beginning of an RTF file: its fonts' encodings, its styles and its colours."""

import re

from retrieval.parsers.rtf_tokens import CHARSETS
from retrieval.parsers.symbol_fonts import is_symbol_font

__all__ = ["DefinitionTables", "read_outline"]

_HEADING = re.compile(r"heading (\d)", re.I)
_WHITE = {"red": 255, "green": 255, "blue": 255}
_DEEPEST = 9


def read_outline(value: int | None) -> int:
    """Return the level of a heading, from 1, by its outline level from 0; 0 for body text."""
    return value + 1 if value is not None and 0 <= value < _DEEPEST else 0


class DefinitionTables:
    """The tables as they are read.

    Attributes:
        encodings: Number of a font → its encoding, or "" for that of the document.
        signs: Number of a font of signs → its name.
        styles: Number of a paragraph style → its name and its level as a heading, or 0.
        white: Numbers of colours that are white.
    """

    def __init__(self) -> None:
        self.encodings: dict[int, str] = {}
        self.signs: dict[int, str] = {}
        self.styles: dict[int, tuple[str, int]] = {}
        self.white = set[int | None]()
        self._font = 0
        self._style = self._level = 0
        self._name = ""
        self._colours = 0
        self._colour: dict[str, int] = {}

    def define(self, word: str, value: int | None) -> None:
        if word == "f":
            self._font = value or 0
        elif word == "fcharset" and value is not None:
            self.encodings[self._font] = CHARSETS.get(value, "")
        elif word == "s":
            self._style = value or 0
        elif word == "outlinelevel":
            self._level = read_outline(value)
        elif word in _WHITE:
            self._colour[word] = value or 0

    def add_text(self, table: str, text: str) -> None:
        """Take the text of a table: names of fonts and styles, and the semicolons that end them and colours."""
        if table == "fonttbl":
            if is_symbol_font(text):
                self.signs[self._font] = text
        elif table == "stylesheet":
            self._name += text
            if ";" in text:
                name = self._name.partition(";")[0].strip()
                match = _HEADING.fullmatch(name)
                self.styles[self._style] = name, int(match[1]) if match else self._level
                self._name, self._style, self._level = "", 0, 0
        elif table == "colortbl":
            for _ in range(text.count(";")):
                if self._colour == _WHITE:
                    self.white.add(self._colours)
                self._colours += 1
                self._colour = {}
