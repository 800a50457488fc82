import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf

pytestmark = pytest.mark.model


def parse(data: bytes, pages: int = 9) -> Parsed:
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits(pages=pages))


def titles(parsed: Parsed) -> list[str]:
    return [heading.title for heading in parsed.headings]


def test_pages_are_headings_and_end_with_a_form_feed() -> None:
    parsed = parse(make_pdf(["Adults pay 12 euros.", "Dogs are free."]))
    assert parsed.text == "Adults pay 12 euros.\fDogs are free."
    assert [(heading.title, parsed.text[heading.start :][:6]) for heading in parsed.headings] == [
        ("page 1", "Adults"),
        ("page 2", "Dogs a"),
    ]


def test_larger_type_makes_headings_below_the_page() -> None:
    first = make_page(
        *((18, "Harbor prices"), (18, "and hours"), (11, "Adults pay 12 euros on every route."), (13, "Dogs")),
        *((11, "Dogs are free, see Cats."), (13, "Cats"), (11, "Cats pay 2 euros.")),
    )
    second = make_page((11, "They need a box."), (30, "7"), (13, "2"), (13, "Hours"), (11, "From 8 to 18."))
    parsed = parse(make_pdf([first, second]))
    lines = [parsed.text[heading.start :].partition("\n")[0] for heading in parsed.headings]
    headings = [(heading.level, heading.title) for heading in parsed.headings]
    assert [(*heading, line) for heading, line in zip(headings, lines, strict=True)] == [
        (1, "page 1", "Harbor prices"),
        (2, "Harbor prices and hours", "Harbor prices"),
        (3, "Dogs", "Dogs"),
        (3, "Cats", "Cats"),
        (1, "page 2", "They need a box."),
        (3, "2 Hours", "2"),
    ]


def test_sizes_count_as_they_are_printed() -> None:
    scaled = "/F1 1 Tf 18 0 0 18 72 700 Tm (Prices) Tj 11 0 0 11 72 660 Tm (Adults pay 12 euros on every route.) Tj"
    parsed = parse(make_pdf([scaled]))
    assert [(heading.level, heading.title) for heading in parsed.headings] == [(1, "page 1"), (2, "Prices")]


def test_text_that_stands_on_its_side_has_no_headings_by_chance() -> None:
    sentences = ["When it rains nothing runs.", "Most people walk.", "In winter they stay.", "Ill winds blow."]
    turned = "\n".join(f"/F1 11 Tf 0 1 -1 0 {100 + 20 * n} 72 Tm ({text}) Tj" for n, text in enumerate(sentences))
    parsed = parse(make_pdf([turned]))
    assert "Most people walk." in parsed.text
    assert titles(parsed) == ["page 1"]


def test_a_list_in_another_font_has_no_headings() -> None:
    symbols = b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"
    page = make_page((11, "Adults pay 12 euros."), (11, "Dogs are free.")) + "\n/F2 11 Tf 1 0 0 1 72 500 Tm (abcd) Tj"
    data = make_pdf([page], extra=symbols).replace(b"/F1 3 0 R", b"/F1 3 0 R/F2 6 0 R")
    parsed = parse(data)
    assert len(parsed.text.splitlines()) == 3
    assert titles(parsed) == ["page 1"]


def test_letters_beyond_the_basic_plane_move_no_heading() -> None:
    # pdfium takes what a font maps to; here each A is a mathematical letter of two UTF-16 units.
    table = b"/CIDInit/ProcSet findresource begin begincmap 1 beginbfchar<41><D835DC00>endbfchar endcmap end"
    page = make_page(
        (11, "AAAAAAAA and more of them"), (11, "ab dogs are free, as they were"), (18, "Dogs and cats"), (11, "x")
    )
    mapped = make_pdf([page], extra=b"<</Length %d>>stream\n%s\nendstream" % (len(table), table)).replace(
        b"/BaseFont/Helvetica>>", b"/BaseFont/Helvetica/ToUnicode 6 0 R>>"
    )
    parsed = parse(mapped)
    assert "\U0001d400" in parsed.text
    assert titles(parsed) == ["page 1", "Dogs and cats"]


def test_a_paragraph_in_larger_type_is_no_heading() -> None:
    page = make_page((11, "Adults pay 12 euros. " * 30), *((18, f"word {n}") for n in range(30)))
    parsed = parse(make_pdf([page]))
    assert "word 29" in parsed.text
    assert titles(parsed) == ["page 1"]


def test_a_page_in_one_size_has_no_headings() -> None:
    parsed = parse(make_pdf([make_page((12, "Prices"), (12, "Adults pay 12."))]))
    assert titles(parsed) == ["page 1"]


def test_the_title_is_taken_from_the_document() -> None:
    titled = make_pdf(["x"], extra=b"<</Title(Harbor prices)>>", trailer=b"/Info 6 0 R")
    assert parse(titled).title == "Harbor prices"


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (make_pdf(["x", "y"]), "invalid_file", "2 pages; the limit is 1"),
        (make_pdf([""]), "empty_file", "no text layer"),
        (b"%PDF-1.7 and then nothing of the kind", "invalid_file", "is broken"),
        (
            make_pdf(
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
def test_a_pdf_that_cannot_be_read_says_why(data: bytes, code: str, says: str) -> None:
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        parse(data, pages=1)
    assert caught.value.code == code


def test_a_page_that_is_missing_is_named() -> None:
    with pytest.raises(DocumentUnreadable, match="Page 2 of the PDF is broken") as caught:
        parse(make_pdf(["x"]).replace(b"/Count 1", b"/Count 2"))
    assert caught.value.code == "invalid_file"


def test_blank_lines_between_and_control_characters_in_text_move_no_heading() -> None:
    page = make_page((11, "Adults pay 12 euros on every route."), (11, " \001 "), (18, "Dogs"), (11, "Dogs are free."))
    parsed = parse(make_pdf([page]))
    assert [parsed.text[heading.start :][:4] for heading in parsed.headings] == ["Adul", "Dogs"]
