"""The table of formats that a document may have. A new one is a row here, and a module with its parser.

A row's order matters only among rows that recognise the same file; the last row is plain text, which all else is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from pkgutil import resolve_name

from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits

__all__ = ["ACCEPTED", "FORMATS", "PLAIN_TEXT", "Format", "Parser", "find_binary_format", "find_text_format"]

Parser = Callable[[FileContent, ParseLimits], Parsed]
"""Reads a file of its format.

Raises:
    DocumentUnreadable: The file is broken, over a limit, or without visible text.
"""

_BEGINNING = 4096
"""Characters of a text in which its format's opening is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of document: how files of it are called and recognised, and which parser reads them.

    Attributes:
        kind: Short name, unique in the table.
        label: Its name for people, in the sentence of what is accepted.
        media_types: Extension of a file's name, with the dot → media type. The first is the one for other names.
        parser: `module:function` of its `Parser`, imported when a document needs it.
        signature: Matches at the beginning of every file of a binary format, and of no other; None for text.
        opening: Matches at the beginning of a text that shows by itself what it is, whatever the file's name.
        marks: Found in a text that is probably of this format, where the file's name has no extension: `.py`, `.yaml`
            and the like have lines that look like headings.
        required: Text without it isn't of this format, even if the file's name says so.
    """

    kind: str
    label: str
    media_types: Mapping[str, str]
    parser: str
    signature: re.Pattern[bytes] | None = None
    opening: re.Pattern[str] | None = None
    marks: re.Pattern[str] | None = None
    required: str = ""

    def media_type_of(self, filename: str) -> str:
        default = next(iter(self.media_types.values()))
        return self.media_types.get(_extension(filename), default)

    def load_parser(self) -> Parser:
        """Import the parser. So a parser child's start costs what its document needs (lxml 25 ms, pdfium 45 ms)."""
        return resolve_name(self.parser)


PLAIN_TEXT = Format(
    kind="text",
    label="plain text (also JSON and CSV)",
    media_types={
        ".txt": "text/plain",
        ".log": "text/plain",
        ".json": "application/json",
        ".jsonl": "application/jsonl",
        ".csv": "text/csv",
        ".tsv": "text/tab-separated-values",
        ".xml": "text/xml",
    },
    parser="retrieval.parsers.text:parse_text",
)

FORMATS = (
    Format(
        kind="markdown",
        label="Markdown",
        media_types=dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"), "text/markdown"),
        parser="retrieval.parsers.markdown:parse_markdown",
        marks=re.compile(r"^(?:#{1,6}[ \t]+\S|={3,}[ \t]*$|-{3,}[ \t]*$|```|[*+-][ \t]+\[)", re.M),
    ),
    Format(
        kind="html",
        label="HTML",
        media_types={".html": "text/html", ".htm": "text/html", ".xhtml": "text/html"},
        parser="retrieval.parsers.html:parse_html",
        opening=re.compile(
            r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
        ),
        marks=re.compile(
            r"\A\s*<(?:p|div|h[1-6]|table|ul|ol|dl|section|article|main|header|nav|title|meta|link|style|span)\b[^<>]*>",
            re.I,
        ),
        required="<",
    ),
    Format(
        kind="pdf",
        label="PDF",
        media_types={".pdf": "application/pdf"},
        parser="retrieval.parsers.pdf:parse_pdf",
        # At the beginning, or after junk in the first 1024 bytes: a printer's commands, what is no text, or text if
        # the file ends as a PDF does. A text that speaks of `%PDF-1.7` is a text.
        signature=re.compile(
            rb"(?:[\x00-\x20\x7f-\xff]{0,1019}|\x1b.{0,1018}?|.{0,1019}?\n(?=.*\nstartxref\s{1,4}\d+\s{1,4}%%EOF\s*\Z))"
            rb"%PDF-\d",
            re.S,
        ),
    ),
    PLAIN_TEXT,
)

ACCEPTED = (
    f"Accepted are {', '.join(format_.label for format_ in FORMATS[:-1])} and {FORMATS[-1].label} "
    "in UTF-8, UTF-16, or an older encoding that is declared or can be recognised."
)
"""For every refusal of a file: it says what to give instead."""


_EXTENSION = re.compile(r"\.[a-z]\w*")
"""The extension of a kind of file, and not the end of a name like `Notes 2.1`."""


def find_binary_format(data: bytes) -> Format | None:
    """Find the binary format whose signature the file has; its name plays no part."""
    return next((row for row in FORMATS if row.signature is not None and row.signature.match(data)), None)


def find_text_format(text: str, filename: str) -> Format:
    """Find the format of a text: by its opening, else by the file's name, else by marks in it, else plain text."""
    for row in FORMATS:
        if row.opening is not None and row.opening.match(text, 0, _BEGINNING):
            return row
    extension = _extension(filename)
    for row in FORMATS:
        if extension in row.media_types and row.signature is None:
            return row if row.required in text else PLAIN_TEXT
    if _EXTENSION.fullmatch(extension):
        return PLAIN_TEXT
    return next((row for row in FORMATS if row.marks is not None and row.marks.search(text)), PLAIN_TEXT)


def _extension(filename: str) -> str:
    return PurePath(filename).suffix.lower()
