from msgspec import Struct

from retrieval.errors import UnreadableCode

__all__ = ["ACCEPTED", "Heading", "ParseLimits", "Parsed", "Unreadable"]

ACCEPTED = "Accepted are Markdown, HTML, PDF and plain text (also JSON and CSV) in UTF-8, UTF-16 or Windows-1252."


class Heading(Struct, frozen=True):
    """`start` is the character offset of its line in the parsed text; `level` counts from 1, the outermost."""

    start: int
    level: int
    title: str


class Parsed(Struct, frozen=True, tag="parsed"):
    """A document as text.

    Attributes:
        media_type: What it was read as, with `; charset=…` where the encoding was a guess.
        title: The document's own title, or "".
        text: Without hidden, zero-width and control characters; chunk offsets count in it.
        headings: In the order of the text.
    """

    media_type: str
    title: str
    text: str
    headings: list[Heading]


class Unreadable(Struct, frozen=True, tag="unreadable"):
    """The other outcome of a parser child."""

    code: UnreadableCode
    message: str


class ParseLimits(Struct, frozen=True):
    """What a parser child may use: bytes of address space, seconds, bytes in, characters out, pages."""

    memory: int = 1024**3
    cpu_seconds: int = 60
    wall_seconds: float = 90.0
    input_bytes: int = 64 * 1024**2
    characters: int = 20_000_000
    pages: int = 5_000
