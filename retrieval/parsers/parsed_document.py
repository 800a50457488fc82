"""The values between the parsers and the process that runs them."""

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from retrieval.errors import UnreadableCode

__all__ = ["Block", "FileContent", "Heading", "ParseLimits", "ParsedDocument", "Unreadable"]


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as its format's parser gets it.

    Attributes:
        media_type: With `; charset=…` where the encoding was a guess.
        text: `data` decoded, or "" where the format is binary.
        warning: What was lost of `data` when it was decoded, as a sentence, or "".
    """

    data: bytes
    media_type: str
    text: str = ""
    warning: str = ""


class Heading(Struct, frozen=True):
    """`start` is the character offset of its line in the parsed text; `level` counts from 1, the outermost."""

    start: int
    level: int
    title: str


class Block(Struct, frozen=True):
    """A part of the parsed text that chunks keep whole where it fits.

    Attributes:
        start: Offset of its first line.
        end: Offset after its last character.
        kind: `list` may have other blocks in it; the others don't.
        head: Offset after what every piece of it needs to be read, if it is cut: a table's header rows, code's opening
            fence, a record's path. Equal to `start` where there is none.
        closing: What ends a piece that is cut off before the block's end, such as a fence, or "".
    """

    start: int
    end: int
    kind: Literal["list", "table", "code", "record"]
    head: int
    closing: str = ""


class ParsedDocument(Struct, frozen=True, tag="parsed"):
    """A document as text.

    Attributes:
        media_type: That of the file's content.
        title: The document's own title, or "".
        text: Without hidden, zero-width and control characters; chunk offsets count in it.
        headings: In the order of the text.
        pages: The offset at which each page (or slide) begins; empty for a document without pages.
        warnings: What was lost, as sentences.
        blocks: Tables, code, lists and records, by their start; an outer one before those in it.
        parser: The parser and its version (`retrieval.parsers.formats.name_parser`).
        lacks_ocr: Whether pictures of text in it weren't read since no OCR program is installed.
    """

    media_type: str
    title: str
    text: str
    headings: list[Heading]
    pages: list[int] = []
    warnings: list[str] = []
    blocks: list[Block] = []
    parser: str = ""
    lacks_ocr: bool = False


class Unreadable(Struct, frozen=True, tag="unreadable"):
    """The other outcome of a parser child."""

    code: UnreadableCode
    message: str


class ParseLimits(Struct, frozen=True):
    """The limits of a parser child: bytes of address space, seconds, bytes in, characters out, pages.

    Attributes:
        wall_seconds: More than twice those of the processor, since a machine may be busy with other work; a caller
            takes a retriever that says nothing for `INGEST_SILENCE_SECONDS` for one that hangs.
        unpacked_bytes: What all the parts that are read of a packed document may have together, unpacked.
        parts: The most parts of a packed document.
    """

    memory: int = 1024**3
    cpu_seconds: int = 60
    wall_seconds: float = 150.0
    input_bytes: int = 64 * 1024**2
    characters: int = 20_000_000
    pages: int = 5_000
    unpacked_bytes: int = 512 * 1024**2
    parts: int = 20_000
