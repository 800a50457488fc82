"""One kind of document: how files of it are called and recognised, and which parser reads them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from pkgutil import resolve_name
from typing import Literal

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

__all__ = ["DocumentFormat", "Parser", "find_extension"]

Parser = Callable[[FileContent, ParseLimits], ParsedDocument]
"""Reads a file of its format.

Raises:
    DocumentUnreadable: The file is broken, over a limit, or without visible text.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFormat:
    """One kind of document: how files of it are called and recognised, and which parser reads them.

    Attributes:
        kind: Short name, unique in the table.
        label: Its name for people, in the sentence of what is accepted; "" where another row's says it too.
        media_types: Extension of a file's name, with the dot → media type. The first is the one for other names.
        parser: `module:function` of its `Parser`, imported when a document needs it.
        signature: Matches at the beginning of every file of a binary format, and of no other; None for text.
        archive: Found in the listing of every packed file (ZIP) of a binary format, and of no other: the type that it
            names itself (`mimetype`), then its parts, one per line.
        opening: Matches at the beginning of a text that shows by itself what it is.
        structure: Found as well in such a text, or in one with the signature, whose file is called like one of another
            kind: "GIF89a is how pictures begin" in a `.md` is a text. None where no text is of this format.
        marks: Found in a text that is probably of this format, where the file's name has no extension: `.py`, `.yaml`
            and the like have lines that look like headings.
        required: A text in which it isn't found is of another format, even if the file's name says so: `example.org` is
            the name of a host as well.
        version: Of its parser. Raise it with any change that gives files of this format another text, other headings,
            blocks or pages: documents that were read before are then known to be out of date (`braid docs reindex`).
        parts: The kinds of what files of this format have in them, which their parsers read; "all" if it may be any.
    """

    kind: str
    label: str
    media_types: Mapping[str, str]
    parser: str
    signature: re.Pattern[bytes] | None = None
    archive: re.Pattern[str] | None = None
    opening: re.Pattern[str] | None = None
    structure: re.Pattern[str] | None = None
    marks: re.Pattern[str] | None = None
    required: re.Pattern[str] | None = None
    version: int = 1
    parts: tuple[str, ...] | Literal["all"] = ()

    @property
    def is_binary(self) -> bool:
        return self.signature is not None or self.archive is not None

    def media_type_of(self, filename: str) -> str:
        default = next(iter(self.media_types.values()))
        return self.media_types.get(find_extension(filename), default)

    def has_structure(self, text: str, filename: str) -> bool:
        """Tell whether a text that begins like one of this format is one, by its name or by its structure."""
        if find_extension(filename) in self.media_types:
            return True
        return self.structure is not None and self.structure.search(text) is not None

    def load_parser(self) -> Parser:
        """Import the parser. So a parser child's start costs what its document needs (lxml 25 ms, pdfium 45 ms)."""
        return resolve_name(self.parser)


def find_extension(filename: str) -> str:
    """Return the extension of a file's name, with its dot and in small letters; "" where it has none."""
    return PurePath(filename).suffix.lower()
