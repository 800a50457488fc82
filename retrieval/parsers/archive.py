"""A packed document (Office, OpenDocument, EPUB): its parts, within limits, and their XML without entities."""

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from lxml import etree as _etree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed_document import ParseLimits

__all__ = ["Archive", "Element", "get_attribute", "get_name", "parse_xml", "to_number"]

etree: Any = _etree  # pyright: ignore[reportUnknownVariableType]
"""lxml is compiled and comes without types."""

Element = Any
"""An element of lxml's."""

_SUSPICIOUS_RATIO = 400
_SUSPICIOUS_BYTES = 4 * 1024**2
"""Sheets and texts pack to a hundredth at most; a part of this size that packs better is made to fill memory."""

_MOST = 999_999_999
_DIGITS = 20

_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
}


class Archive:
    """A ZIP file whose parts are read whole, one by one.

    Raises:
        DocumentUnreadable: From every method: broken, encrypted, over a limit, or not well-formed XML.
    """

    def __init__(self, data: bytes, limits: ParseLimits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
            raise _to_broken(str(error)) from error
        if len(self._zip.infolist()) > limits.parts:
            raise DocumentUnreadable(
                "invalid_file",
                f"The file has {len(self._zip.infolist())} parts; the limit is {limits.parts}. Split it.",
            )
        self._parts = {info.filename.replace("\\", "/").lstrip("/"): info for info in self._zip.infolist()}
        self._folded = {name.lower(): name for name in self._parts}
        self._bytes_left = limits.unpacked_bytes
        self._limit = limits.unpacked_bytes

    @property
    def names(self) -> list[str]:
        return list(self._parts)

    def has(self, name: str) -> bool:
        return name.lower() in self._folded

    def read(self, name: str) -> bytes:
        """Return a part's bytes."""
        if not self.has(name):
            raise _to_broken(f"its part {name!r} is missing")
        part = self._parts[self._folded[name.lower()]]
        if part.flag_bits & 1:
            raise DocumentUnreadable(
                "invalid_file", "The file is encrypted. Save it without a password, then upload it again."
            )
        bomb = part.file_size > _SUSPICIOUS_BYTES and part.file_size > part.compress_size * _SUSPICIOUS_RATIO
        if bomb or part.file_size > self._bytes_left:
            raise DocumentUnreadable(
                "invalid_file",
                f"The file's part {name!r} would unpack to {part.file_size} bytes, as a decompression bomb does; the "
                f"limit for all parts is {self._limit}. Split the document, or export it again from where it was made.",
            )
        self._bytes_left -= part.file_size
        try:
            return self._zip.read(part)
        except (
            zipfile.BadZipFile,
            zlib.error,
            NotImplementedError,
            RuntimeError,
            OSError,
            EOFError,
            ValueError,
        ) as error:
            raise _to_broken(str(error) or type(error).__name__) from error

    def read_xml(self, name: str) -> Element:
        """Return a part's root element."""
        return parse_xml(self.read(name), name)

    def iterate_xml(self, data: bytes, name: str, tags: Sequence[str]) -> Iterator[Element]:
        """Yield a part's elements of some names and drop each afterwards: parts may be large."""
        try:
            for _, element in etree.iterparse(io.BytesIO(data), tag=["{*}" + tag for tag in tags], **_OPTIONS):
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        except etree.XMLSyntaxError as error:
            raise _to_broken(f"its part {name!r} is no XML: {error}") from error

    def read_relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return what an Office part refers to inside the file: id → the last word of its type, and the part's name."""
        folder, _, base = name.rpartition("/")
        relations = posixpath.join(folder, "_rels", f"{base}.rels")
        if not self.has(relations):
            return {}
        targets: dict[str, tuple[str, str]] = {}
        for element in self.read_xml(relations).iterchildren("{*}Relationship"):
            if element.get("TargetMode") != "External":
                target = self.resolve(name, element.get("Target", ""))
                targets[element.get("Id", "")] = element.get("Type", "").rpartition("/")[2], target
        return targets

    def resolve(self, name: str, target: str) -> str:
        """Return the name of the part that a part refers to."""
        target = target.partition("#")[0]
        folder = "" if target.startswith("/") else posixpath.dirname(name)
        part, unquoted = (
            posixpath.normpath(posixpath.join(folder, path.lstrip("/"))) for path in (target, unquote(target))
        )
        return part if self.has(part) else unquoted


def parse_xml(data: bytes, name: str) -> Element:
    """Parse XML; entities stay unresolved, nothing is fetched.

    Raises:
        DocumentUnreadable: Not well-formed, or nested deeper than 255 elements.
    """
    try:
        return etree.fromstring(data, etree.XMLParser(**_OPTIONS))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _to_broken(f"its part {name!r} is no XML: {error}") from error


def get_name(element: Element) -> str:
    """Return an element's name without its namespace: Office has two for each, and writers invent their own."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def get_attribute(element: Element, name: str, default: str = "") -> str:
    """Return an attribute's value by its name, in whatever namespace."""
    for key, value in element.items():
        if key.rpartition("}")[2] == name:
            return value
    return default


def to_number(value: str | None, default: int = 0, *, most: int = _MOST) -> int:
    """Return a whole number from 0 to `most` that a file has written, or the default for what is none."""
    if value is None or not value.isascii() or not value.isdecimal() or len(value) > _DIGITS:
        return default
    return min(int(value), most)


def _to_broken(reason: str) -> DocumentUnreadable:
    return DocumentUnreadable(
        "invalid_file",
        f"The file is broken or was cut off ({reason.rstrip('.')}). Export it again from where it was made.",
    )
