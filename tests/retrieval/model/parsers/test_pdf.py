from collections.abc import Sequence
from itertools import accumulate

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.pdf import parse_pdf

pytestmark = pytest.mark.model


def lines(*parts: tuple[int, str]) -> str:
    """Lines of a page, each with its size of type, for `pdf`."""
    tops = list(accumulate((-2 * size for size, _ in parts), initial=700))
    placed = zip(parts, tops[:-1], strict=True)
    return "\n".join(f"/F1 {size} Tf 1 0 0 1 72 {top} Tm ({text}) Tj" for (size, text), top in placed)


def pdf(pages: Sequence[str], *, extra: bytes = b"", trailer: bytes = b"") -> bytes:
    """A PDF by hand: one line of text a page, or what `lines` made."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for n, text in enumerate(pages):
        drawn = text if text.startswith("/F1") else f"/F1 12 Tf 72 700 Td ({text}) Tj"
        stream = f"BT {drawn} ET".encode("latin-1")
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
            % (5 + 2 * n)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    if extra:
        objects.append(extra)
    data, offsets = b"%PDF-1.7\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return data + b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, start)


def test_pages_are_headings_and_end_with_a_form_feed() -> None:
    parsed = parse_pdf(pdf(["Adults pay 12 euros.", "Dogs are free."]), "application/pdf", max_pages=9)
    assert parsed.text == "Adults pay 12 euros.\fDogs are free."
    assert [(found.title, parsed.text[found.start :][:6]) for found in parsed.headings] == [
        ("page 1", "Adults"),
        ("page 2", "Dogs a"),
    ]


def test_larger_type_makes_headings_below_the_page() -> None:
    first = lines(
        *((18, "Harbor prices"), (18, "and hours"), (11, "Adults pay 12 euros on every route."), (13, "Dogs")),
        *((11, "Dogs are free, see Cats."), (13, "Cats"), (11, "Cats pay 2 euros.")),
    )
    second = lines((11, "They need a box."), (30, "7"), (13, "2"), (13, "Hours"), (11, "From 8 to 18."))
    parsed = parse_pdf(pdf([first, second]), "application/pdf", max_pages=9)
    assert [(found.level, found.title, parsed.text[found.start :].partition("\n")[0]) for found in parsed.headings] == [
        (1, "page 1", "Harbor prices"),
        (2, "Harbor prices and hours", "Harbor prices"),
        (3, "Dogs", "Dogs"),
        (3, "Cats", "Cats"),
        (1, "page 2", "They need a box."),
        (3, "2 Hours", "2"),
    ]


def test_sizes_count_as_they_are_printed() -> None:
    scaled = "/F1 1 Tf 18 0 0 18 72 700 Tm (Prices) Tj 11 0 0 11 72 660 Tm (Adults pay 12 euros on every route.) Tj"
    parsed = parse_pdf(pdf([scaled]), "application/pdf", max_pages=9)
    assert [(found.level, found.title) for found in parsed.headings] == [(1, "page 1"), (2, "Prices")]


def test_text_that_stands_on_its_side_has_no_headings_by_chance() -> None:
    said = ["When it rains nothing runs.", "Most people walk.", "In winter they stay.", "Ill winds blow."]
    turned = "\n".join(f"/F1 11 Tf 0 1 -1 0 {100 + 20 * n} 72 Tm ({text}) Tj" for n, text in enumerate(said))
    parsed = parse_pdf(pdf([turned]), "application/pdf", max_pages=9)
    assert "Most people walk." in parsed.text
    assert [found.title for found in parsed.headings] == ["page 1"]


def test_a_list_in_another_font_has_no_headings() -> None:
    symbols = b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"
    page = lines((11, "Adults pay 12 euros."), (11, "Dogs are free.")) + "\n/F2 11 Tf 1 0 0 1 72 500 Tm (abcd) Tj"
    data = pdf([page], extra=symbols).replace(b"/F1 3 0 R", b"/F1 3 0 R/F2 6 0 R")
    parsed = parse_pdf(data, "application/pdf", max_pages=9)
    assert len(parsed.text.splitlines()) == 3
    assert [found.title for found in parsed.headings] == ["page 1"]


def test_letters_beyond_the_basic_plane_move_no_heading() -> None:
    # pdfium takes what a font maps to; here each A is a mathematical letter of two UTF-16 units.
    table = b"/CIDInit/ProcSet findresource begin begincmap 1 beginbfchar<41><D835DC00>endbfchar endcmap end"
    page = lines(
        (11, "AAAAAAAA and more of them"), (11, "ab dogs are free, as they were"), (18, "Dogs and cats"), (11, "x")
    )
    mapped = pdf([page], extra=b"<</Length %d>>stream\n%s\nendstream" % (len(table), table)).replace(
        b"/BaseFont/Helvetica>>", b"/BaseFont/Helvetica/ToUnicode 6 0 R>>"
    )
    parsed = parse_pdf(mapped, "application/pdf", max_pages=9)
    assert "\U0001d400" in parsed.text
    assert [found.title for found in parsed.headings] == ["page 1", "Dogs and cats"]


def test_a_paragraph_in_larger_type_is_no_heading() -> None:
    page = lines((11, "Adults pay 12 euros. " * 30), *((18, f"word {n}") for n in range(30)))
    parsed = parse_pdf(pdf([page]), "application/pdf", max_pages=9)
    assert "word 29" in parsed.text
    assert [found.title for found in parsed.headings] == ["page 1"]


def test_a_page_in_one_size_has_no_headings() -> None:
    parsed = parse_pdf(pdf([lines((12, "Prices"), (12, "Adults pay 12."))]), "application/pdf", max_pages=9)
    assert [found.title for found in parsed.headings] == ["page 1"]


def test_the_title_is_taken_from_the_document() -> None:
    titled = pdf(["x"], extra=b"<</Title(Harbor prices)>>", trailer=b"/Info 6 0 R")
    assert parse_pdf(titled, "application/pdf", max_pages=9).title == "Harbor prices"


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (pdf(["x", "y"]), "invalid_file", "2 pages; the limit is 1"),
        (pdf([""]), "empty_file", "no text layer"),
        (b"%PDF-1.7 and then nothing of the kind", "invalid_file", "is broken"),
        (
            pdf(
                ["x"],
                extra=b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (b"41" * 32, b"42" * 32),
                trailer=b"/Encrypt 6 0 R/ID[<00><00>]",
            ),
            "invalid_file",
            "is encrypted",
        ),
    ],
    ids=["pages", "scan", "broken", "encrypted"],
)
def test_says_why_a_pdf_cannot_be_read(data: bytes, code: str, says: str) -> None:
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        parse_pdf(data, "application/pdf", max_pages=1)
    assert caught.value.code == code
