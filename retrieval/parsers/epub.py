"""EPUB → the text of its chapters, in the order in which the book is read."""

from collections.abc import Iterator

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Archive, Element, get_attribute, get_name
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.sniff import sniff
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["parse_epub"]

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"


def parse_epub(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the chapters of a book; one without a heading has its name in the table of contents as one.

    Raises:
        DocumentUnreadable: Broken, protected, over a limit, or without visible text.
    """
    book = _Book(Archive(content.data, limits))
    writer = TextWriter()
    for part in book.list_chapters():
        chapter = book.read_chapter(part, limits)
        if chapter is None:
            continue
        if not chapter.headings:
            writer.add_heading(book.names.get(part, ""), 1)
        writer.add_document(chapter, 0)
    return writer.finish(content.media_type, book.title)


class _Book:
    """The parts of a book.

    Attributes:
        names: Part → its name in the table of contents.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        root = archive.read_xml(_CONTAINER).find(".//{*}rootfile")
        self._main = get_attribute(root, "full-path") if root is not None else ""
        self._package = archive.read_xml(self._main)
        self._items = {item.get("id", ""): item for item in self._package.iterfind("{*}manifest/{*}item")}
        self.title = self._package.findtext("{*}metadata/{*}title") or ""
        self._protected = set(self._read_protected())
        self.names: dict[str, str] = {}
        for part, name in self._read_contents():
            self.names.setdefault(part, name)

    def list_chapters(self) -> Iterator[str]:
        for reference in self._package.iterfind("{*}spine/{*}itemref"):
            item = self._items.get(reference.get("idref", ""))
            if item is not None and "html" in item.get("media-type", "") and not _is_navigation(item):
                yield self._locate(item)

    def read_chapter(self, part: str, limits: ParseLimits) -> ParsedDocument | None:
        """Return a chapter; None for one without text, such as a cover."""
        if part in self._protected:
            raise DocumentUnreadable(
                "invalid_file", "The book is protected against copying. Upload an edition without protection."
            )
        try:
            _, content = sniff(self._archive.read(part), "chapter.xhtml")
            return parse_html(content, limits)
        except DocumentUnreadable as error:
            if error.code == "empty_file":
                return None
            raise

    def _locate(self, item: Element) -> str:
        return self._archive.resolve(self._main, item.get("href", ""))

    def _read_protected(self) -> Iterator[str]:
        """Yield the encrypted parts; of most books, these are fonts only."""
        if self._archive.has(_ENCRYPTION):
            for reference in self._archive.read_xml(_ENCRYPTION).iter("{*}CipherReference"):
                yield self._archive.resolve("", get_attribute(reference, "URI"))

    def _read_contents(self) -> Iterator[tuple[str, str]]:
        """Yield parts and their names, from the table of contents of either version."""
        for item in self._items.values():
            part = self._locate(item)
            if not self._archive.has(part):
                continue
            if _is_navigation(item):
                for link in self._archive.read_xml(part).iter("{*}a"):
                    yield self._archive.resolve(part, link.get("href", "")), join_words("".join(link.itertext()))
            elif item.get("media-type") == "application/x-dtbncx+xml":
                for point in self._archive.read_xml(part).iter("{*}navPoint"):
                    target = point.find("{*}content")
                    name = point.findtext("{*}navLabel/{*}text") or ""
                    if target is not None:
                        yield self._archive.resolve(part, target.get("src", "")), name


def _is_navigation(item: Element) -> bool:
    return get_name(item) == "item" and "nav" in item.get("properties", "").split()
