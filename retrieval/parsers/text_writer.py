"""The text of a document as its parser writes it: headings, paragraphs, lists and tables, with their offsets."""

import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.document_title import find_top_heading, pick_title
from retrieval.parsers.parsed_document import Block, Heading, ParsedDocument
from retrieval.parsers.scripts import write_scripts
from retrieval.parsers.table_rows import write_row
from retrieval.parsers.text import clean

__all__ = ["GatheredBlocks", "TextWriter", "is_code", "join_words", "make_row"]

_SPACE = re.compile(r"[ \t\xa0]+")
_DEEPEST = 6
_CODE = re.compile(r"\b(?:code|preformatted|listing)\b", re.I)


class TextWriter:
    """Grows by one part after the other, with a blank line between them; what has no visible text adds nothing.

    Attributes:
        pages: Offsets at which pages begin.
        warnings: What was lost, as sentences.
        lacks_ocr: Whether a document in it wasn't read as a whole since no OCR program is installed.
    """

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.pages: list[int] = []
        self.warnings: list[str] = []
        self.lacks_ocr = False
        self.length = 0
        self._blocks: list[Block] = []
        self._parts: list[str] = []

    def add_heading(self, title: str, level: int) -> None:
        if title := join_words(title):
            start = self._write(f"{'#' * min(level, _DEEPEST)} {title}")
            self.headings.append(Heading(start, level, title))

    def add_paragraph(self, text: str) -> None:
        """Add lines, each without white space at its ends."""
        lines = (_SPACE.sub(" ", line).strip() for line in clean(write_scripts(text)).split("\n"))
        if paragraph := re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip():
            self._write(paragraph)

    def add_list(self, items: Iterable[str]) -> None:
        """Add items, which have their marks and their indentation already, one per line."""
        lines = [line for item in items if (line := clean(write_scripts(item)).rstrip()).strip()]
        if lines:
            start = self._write("\n".join(lines))
            self._blocks.append(Block(start, self.length, "list", start))

    def add_code(self, text: str) -> None:
        """Add text whose lines and white space count."""
        if code := clean(write_scripts(text)).strip("\n").rstrip():
            start = self._write(code)
            self._blocks.append(Block(start, self.length, "code", start))

    def add_table(self, rows: Iterable[Sequence[str]], head_rows: int) -> None:
        """Add rows, one per line; empty ones are left out. The first `head_rows` are the head of every piece."""
        lines: list[str] = []
        head = 0
        for number, row in enumerate(rows):
            if line := make_row(row):
                lines.append(line)
                head += len(line) + 1 if number < head_rows else 0
        if lines:
            start = self._write("\n".join(lines))
            self._blocks.append(Block(start, self.length, "table", min(start + head, self.length)))

    def add_record(self, path: str, lines: Sequence[str]) -> None:
        """Add lines under the path that they belong to, which stands above each piece of them."""
        head = len(path) + 1 if path and lines else 0
        start = self._write("\n".join([path, *lines] if path else lines))
        self._blocks.append(Block(start, self.length, "record", start + head))

    def add_document(self, document: ParsedDocument, level: int) -> None:
        """Add another document, whose headings are below those of `level`."""
        if not document.text.strip():
            return
        start = self._write(document.text)
        for heading in document.headings:
            self.headings.append(Heading(heading.start + start, heading.level + level, heading.title))
        for block in document.blocks:
            places = {"start": block.start + start, "end": block.end + start, "head": block.head + start}
            self._blocks.append(replace(block, **places))
        self.warnings += document.warnings
        self.lacks_ocr = self.lacks_ocr or document.lacks_ocr

    def begin_page(self) -> None:
        self.pages.append(self.length + (2 if self.length else 0))

    def finish(self, media_type: str, *titles: str, outlined: bool = False) -> ParsedDocument:
        """Return the document; its title is the first that somebody gave, or of an outlined text its top heading.

        Raises:
            DocumentUnreadable: Nothing visible is in it.
        """
        if not self.length:
            raise DocumentUnreadable("empty_file", "The file holds no visible text. Upload one with content.")
        text = "".join(self._parts)
        title = pick_title(*map(join_words, titles), find_top_heading(self.headings, text) if outlined else "")
        blocks = sorted(self._blocks, key=lambda block: (block.start, -block.end))
        return ParsedDocument(
            media_type, title, text, self.headings, self.pages, self.warnings, blocks, lacks_ocr=self.lacks_ocr
        )

    def _write(self, text: str) -> int:
        """Write a part and return where it begins."""
        gap = "\n\n" if self.length else ""
        start = self.length + len(gap)
        self._parts += [gap, text]
        self.length = start + len(text)
        return start


def is_code(style: str) -> bool:
    """Tell by its name whether a paragraph's style is of code."""
    return _CODE.search(style) is not None


def join_words(text: str) -> str:
    """Make one line of a text."""
    return " ".join(clean(write_scripts(text)).split())


def make_row(cells: Sequence[str]) -> str:
    """Write a row of cells that may have several lines."""
    return write_row(map(join_words, cells))


class GatheredBlocks:
    """The list and the code that a format has as single paragraphs, until another kind of paragraph ends them."""

    def __init__(self, writer: TextWriter) -> None:
        self.items: list[str] = []
        self.code: list[str] = []
        self._writer = writer

    def flush(self) -> None:
        self.flush_items()
        self.flush_code()

    def flush_items(self) -> None:
        items, self.items = self.items, []
        self._writer.add_list(items)

    def flush_code(self) -> None:
        code, self.code = self.code, []
        self._writer.add_code("\n".join(code))
