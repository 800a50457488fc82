"""RTF → text with headings, lists, tables and notes, as it reads when all changes are accepted."""

import re
from dataclasses import dataclass, replace

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.rtf_rows import RtfTable
from retrieval.parsers.rtf_tables import DefinitionTables, read_outline
from retrieval.parsers.rtf_tokens import CHARACTERS, SKIPPED, Token, read_tokens
from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, mark_runs
from retrieval.parsers.symbol_fonts import read_symbols
from retrieval.parsers.table_heads import count_heads, widen_names
from retrieval.parsers.text_writer import TextWriter, is_code, join_words

__all__ = ["parse_rtf"]

_TINY = 2  # half points
_SCRIPTS = {"super": RAISED, "sub": LOWERED, "nosupersub": ""}
_SHADES = frozenset(("highlight", "cb", "chcbpat", "cbpat"))
_ENDS = frozenset(("par", "sect", "page", "column"))
_PLACES = frozenset(("footnote", "info", "fldinst"))
_SIGN = re.compile(
    r"\s*SYMBOL\s+(0x[0-9a-f]{1,4}|\d{1,5})\b.*?(?:\\f\s*(?:\"([^\"]*)\"|(\S+)))?\s*(?:\\s.*)?\Z", re.I | re.S
)
"""A field that is one sign of a font."""
_DOCUMENT_ENCODINGS = {"ansicpg": "", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_TABLES = frozenset(("fonttbl", "stylesheet", "colortbl"))


def parse_rtf(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Take the body of a text; headers, footers, comments, deleted and hidden text are left out.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    reader = _Reader()
    for token in read_tokens(content.data):
        reader.take(token)
    writer = reader.finish()
    return writer.finish(content.media_type, reader.title, _join_halves(reader.property_title), outlined=True)


@dataclass(frozen=True, slots=True)
class _State:
    """The properties of text, until the end of a group.

    Attributes:
        place: Name of the group that the text is of: "" for the document, "-" for one without text of it.
        unseen: Words by which text isn't seen: `v` (hidden), `deleted`, `fs` (too small), `cf` (white).
        script: The mark of text that is raised or lowered.
        signs: The font, if it is one of signs.
        uc: Characters that follow a `u` for programs which don't know it.
    """

    place: str = ""
    unseen: frozenset[str] = frozenset()
    encoding: str = "cp1252"
    uc: int = 1
    starred: bool = False
    shaded: bool = False
    script: str = ""
    signs: str = ""


class _Reader:
    def __init__(self) -> None:
        self.title = ""
        self.property_title = ""
        self._writer = TextWriter()
        self._state = _State()
        self._stack: list[_State] = []
        self._encoding = "cp1252"
        self._tables = DefinitionTables()
        self._style = 0
        self._level = 0
        self._depth = 0  # of a list
        self._in_table = False
        self._skip = 0
        self._hidden = 0
        self._text: list[str] = []
        self._bytes = b""
        self._label = ""
        self._instruction = ""  # of a field
        self._notes: list[str] = []
        self._note: list[str] = []
        self._items: list[str] = []
        self._code: list[str] = []
        self._table = RtfTable()

    def finish(self) -> TextWriter:
        self._end_paragraph()
        self._flush()
        if self._hidden:
            self._writer.warnings.append(f"{self._hidden} characters of hidden text were left out.")
        return self._writer

    def take(self, token: Token) -> None:
        if token.kind != "text":
            self._decode()
        if token.kind == "open":
            self._stack.append(self._state)
            self._skip = 0
        elif token.kind == "close":
            self._close()
        elif token.kind == "text":
            self._take_bytes(token)
        else:
            self._take_word(token.word, token.value)

    def _close(self) -> None:
        closed, self._state = self._state, self._stack.pop() if self._stack else _State()
        if closed.place == "footnote" and self._state.place != "footnote":
            self._notes.append(join_words(_join_halves("".join(self._note))))
            self._note = []
            self._add(f" (note {len(self._notes)})")
        elif closed.place == "fldinst" and self._state.place != "fldinst":
            sign, self._instruction = _SIGN.match(self._instruction), ""
            if sign:
                code = int(sign[1], 16 if sign[1][:2].lower() == "0x" else 10)
                self._add(read_symbols(chr(code), sign[2] or sign[3] or ""))
        self._skip = 0

    def _take_bytes(self, token: Token) -> None:
        data = token.data
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._bytes += data

    def _decode(self) -> None:
        if self._bytes:
            data, self._bytes = self._bytes, b""
            self._add(data.decode(self._state.encoding, "replace"))

    def _add(self, text: str) -> None:
        place = self._state.place
        if self._state.signs:
            text = read_symbols(text, self._state.signs)
        if place == "title":
            self.property_title += text
        elif place == "footnote":
            self._note.append(text)
        elif place == "label":
            self._label += text
        elif place == "fldinst":
            self._instruction += text
        elif place == "":
            unseen = self._state.unseen - {"cf"} if self._in_table or self._state.shaded else self._state.unseen
            if unseen:
                self._hidden += len(text) if "deleted" not in unseen else 0
            else:
                script = self._state.script
                self._text.append(f"{script}{text}{LEVEL}" if script else text)
        else:
            self._tables.add_text(place, text)

    def _take_word(self, word: str, value: int | None) -> None:
        if word == "*":
            self._state = replace(self._state, starred=True)
        elif word in SKIPPED or word in ("footnote", "listtext", "pntext", "title"):
            self._begin_destination(word)
        elif self._state.starred:
            # An unknown group of a later version; shapes and lists of today have text in theirs.
            place = self._state.place if word in ("shpinst", "shptxt", "ud") else "-"
            self._state = replace(self._state, place=place, starred=False)
        elif word in CHARACTERS:
            self._add(CHARACTERS[word])
        elif word == "u" and value is not None:
            self._add(chr(value % 65536))
            self._skip = self._state.uc
        elif self._state.place in _TABLES:
            self._tables.define(word, value)
        else:
            self._format(word, value)

    def _begin_destination(self, word: str) -> None:
        if self._state.place == "-":
            return
        place = word if word in _TABLES or word in _PLACES else "-"
        if word in ("listtext", "pntext"):
            place = "label" if self._state.place == "" else "-"
            self._label = ""
        elif word == "title":
            place = "title" if self._state.place == "info" else self._state.place
        self._state = replace(self._state, place=place, starred=False)

    def _format(self, word: str, value: int | None) -> None:
        if self._state.place == "-":
            return
        if word in ("v", "deleted"):
            self._see(word, value == 0)
        elif word == "fs":
            self._see(word, value is None or value > _TINY)
        elif word == "cf":
            self._see(word, value not in self._tables.white)
        elif word in _SHADES:
            self._state = replace(self._state, shaded=bool(value))
        elif word == "plain":
            self._state = replace(
                self._state, unseen=self._state.unseen & {"deleted"}, shaded=False, script="", signs=""
            )
        elif word in _SCRIPTS:
            self._state = replace(self._state, script=_SCRIPTS[word] if value != 0 else "")
        elif word in ("uc", "f") or word in _DOCUMENT_ENCODINGS:
            self._encode(word, value or 0)
        elif self._state.place == "":
            self._lay_out(word, value)

    def _encode(self, word: str, value: int) -> None:
        if word == "uc":
            self._state = replace(self._state, uc=max(value, 0))
            return
        if word in _DOCUMENT_ENCODINGS:
            self._encoding = _DOCUMENT_ENCODINGS[word] or _check_encoding(f"cp{value}")
        font = self._tables.encodings.get(value, "") if word == "f" else ""
        signs = self._tables.signs.get(value, "") if word == "f" else ""
        self._state = replace(self._state, encoding="latin-1" if signs else font or self._encoding, signs=signs)

    def _see(self, word: str, visible: bool) -> None:
        unseen = self._state.unseen - {word} if visible else self._state.unseen | {word}
        self._state = replace(self._state, unseen=unseen)

    def _lay_out(self, word: str, value: int | None) -> None:
        if word == "pard":
            self._style, self._level, self._depth, self._in_table = 0, 0, 0, False
        elif word == "s":
            self._style = value or 0
        elif word == "outlinelevel":
            self._level = read_outline(value)
        elif word == "ilvl":
            self._depth = min(max(value or 0, 0), 8)
        elif word == "intbl":
            self._in_table = True
        elif word in ("cell", "nestcell"):
            self._table.add_cell(self._take_text())
            self._label = ""
        elif word == "row":
            self._flush_items()
            self._flush_code()
            self._table.end_row()
        elif word in _ENDS:
            self._end_paragraph()
        else:
            self._table.define(word, value)

    def _end_paragraph(self) -> None:
        if self._in_table:
            self._text.append(" ")
            return
        text = self._take_text()
        label, self._label = join_words(self._label), ""
        if not text.strip():
            return
        self._flush_table()
        name, level = self._tables.styles.get(self._style, ("", 0))
        level = self._level or level
        if not is_code(name):
            self._flush_code()
        if level or name.lower() == "title":
            self._flush_items()
            self.title = self.title or (join_words(text) if name.lower() == "title" else "")
            self._writer.add_heading(f"{label} {text}" if label.strip("•-–·\uf0b7") else text, level or 1)
        elif label:
            mark = label if any(map(str.isalnum, label)) else "-"
            self._items.append(f"{'  ' * self._depth}{mark} {join_words(text)}")
        elif is_code(name):
            self._flush_items()
            self._code.append(text)
        else:
            self._flush_items()
            self._writer.add_paragraph(text)
        self._add_notes()

    def _take_text(self) -> str:
        """Take what came since the last paragraph or cell."""
        text, self._text = mark_runs(self._text), []
        return _join_halves(text)

    def _add_notes(self) -> None:
        notes, self._notes = self._notes, []
        if notes:
            self._flush_items()
        for number, note in enumerate(notes, 1):
            self._writer.add_paragraph(f"Note {number}: {note}")

    def _flush(self) -> None:
        self._flush_items()
        self._flush_code()
        self._flush_table()
        self._writer.add_paragraph(self._take_text())
        self._add_notes()

    def _flush_items(self) -> None:
        items, self._items = self._items, []
        self._writer.add_list(items)

    def _flush_code(self) -> None:
        code, self._code = self._code, []
        self._writer.add_code("\n".join(code))

    def _flush_table(self) -> None:
        table, self._table = self._table, self._table.begin_next()
        if table.has_rows:
            rows = table.read_rows()
            heads = max(table.heads, count_heads(rows), 1)
            self._writer.add_table(widen_names(rows, heads), heads)
            self._add_notes()


def _join_halves(text: str) -> str:
    """Join characters beyond U+FFFF, which are written as two halves (surrogates)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _check_encoding(encoding: str) -> str:
    try:
        b"".decode(encoding)
    except LookupError:
        return "cp1252"
    return encoding
