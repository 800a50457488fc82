import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from tests.retrieval.model.parsers.office_files import FILES, make_epub

pytestmark = pytest.mark.model

CHAPTERS = {
    "text/two.xhtml": "<html><body><p>Second words.</p></body></html>",
    "cover.xhtml": "<html><body><img src='x.png'/></body></html>",
    "text/one.xhtml": "<html><body><h1>First</h1><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr>"
    "</table></body></html>",
}
CONTENTS = (
    '<navPoint><navLabel><text>The second</text></navLabel><content src="text/two.xhtml#a"/></navPoint>'
    '<navPoint><navLabel><text>Other</text></navLabel><content src="text/one.xhtml"/></navPoint>'
)


def read(data: bytes) -> ParsedDocument:
    return read_document(data, "upload", ParseLimits())


def test_chapters_come_in_the_order_of_reading_with_their_headings() -> None:
    parsed = read(make_epub(CHAPTERS, contents=CONTENTS))
    assert parsed.text == "# The second\n\nSecond words.\n\n# First\n\nA | B\n1 | 2"
    assert [heading.title for heading in parsed.headings] == ["The second", "First"]
    assert parsed.title == "A book"
    assert [parsed.text[block.start : block.head] for block in parsed.blocks] == ["A | B\n"]


def test_a_book_of_libreoffice_is_read() -> None:
    parsed = read((FILES / "text.epub").read_bytes())
    assert [heading.title for heading in parsed.headings] == ["Section 1", "Warranty", "Prices"]
    assert "K2 | 49 | 42" in parsed.text


def test_a_protected_book_says_so_and_protected_fonts_are_no_matter() -> None:
    encrypted = '<encryption><CipherReference URI="{}"/></encryption>'
    with pytest.raises(DocumentUnreadable, match="protected against copying"):
        read(make_epub(CHAPTERS, **{"META-INF__encryption": encrypted.format("book/text/two.xhtml")}))
    assert read(make_epub(CHAPTERS, **{"META-INF__encryption": encrypted.format("book/font.otf")})).headings


def test_a_missing_chapter_and_an_empty_book_are_refused() -> None:
    with pytest.raises(DocumentUnreadable, match=r"part 'book/gone\.xhtml' is missing"):
        read(make_epub({"gone.xhtml": "x"}).replace(b"book/gone.xhtml", b"book/lost.xhtml"))
    with pytest.raises(DocumentUnreadable, match="no visible text") as caught:
        read(make_epub({"cover.xhtml": CHAPTERS["cover.xhtml"]}))
    assert caught.value.code == "empty_file"


def test_digits_above_the_line_are_no_part_of_a_number() -> None:
    page = (
        "<html><body><h2>K2<sup>1</sup></h2><p>It costs 49<sup>2</sup> and weighs 10<sup>-6</sup> t.</p></body></html>"
    )
    parsed = read(make_epub({"one.xhtml": page}))
    assert parsed.text == "## K2^1\n\nIt costs 49^2 and weighs 10^-6 t."
