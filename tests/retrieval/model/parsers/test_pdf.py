from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from retrieval.parsers.table_rows import write_row
from retrieval.points import contextualize
from tests.processor_time import measure
from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model


def parse(data: bytes, pages: int = 9) -> ParsedDocument:
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits(pages=pages))


def titles(parsed: ParsedDocument) -> list[str]:
    return [heading.title for heading in parsed.headings]


def test_pages_end_with_a_form_feed_and_are_no_headings() -> None:
    parsed = parse(make_pdf(["Adults pay 12 euros.", "Dogs are free."]))
    assert (parsed.text, parsed.headings) == ("Adults pay 12 euros.\fDogs are free.", [])
    assert [parsed.text[start:][:6] for start in parsed.pages] == ["Adults", "Dogs a"]


def test_larger_type_makes_headings() -> None:
    first = make_page(
        *((18, "Harbor prices"), (18, "and hours"), (11, "Adults pay 12 euros on every route."), (13, "Dogs")),
        *((11, "Dogs are free, see Cats."), (13, "Cats"), (11, "Cats pay 2 euros.")),
    )
    second = make_page((11, "They need a box."), (30, "7"), (13, "2"), (13, "Hours"), (11, "From 8 to 18."))
    parsed = parse(make_pdf([first, second]))
    lines = [parsed.text[heading.start :].partition("\n")[0] for heading in parsed.headings]
    headings = [(heading.level, heading.title) for heading in parsed.headings]
    assert [(*heading, line) for heading, line in zip(headings, lines, strict=True)] == [
        (1, "Harbor prices and hours", "Harbor prices"),
        (2, "Dogs", "Dogs"),
        (2, "Cats", "Cats"),
        (2, "2 Hours", "2"),
    ]


def test_sizes_count_as_they_are_printed() -> None:
    scaled = "/F1 1 Tf 18 0 0 18 72 700 Tm (Prices) Tj 11 0 0 11 72 660 Tm (Adults pay 12 euros on every route.) Tj"
    parsed = parse(make_pdf([scaled]))
    assert [(heading.level, heading.title) for heading in parsed.headings] == [(1, "Prices")]


def test_text_that_stands_on_its_side_has_no_headings_by_chance() -> None:
    sentences = ["When it rains nothing runs.", "Most people walk.", "In winter they stay.", "Ill winds blow."]
    turned = "\n".join(f"/F1 11 Tf 0 1 -1 0 {100 + 20 * n} 72 Tm ({text}) Tj" for n, text in enumerate(sentences))
    parsed = parse(make_pdf([turned]))
    assert "Most people walk." in parsed.text
    assert titles(parsed) == []


def test_a_list_in_another_font_has_no_headings() -> None:
    symbols = b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"
    page = make_page((11, "Adults pay 12 euros."), (11, "Dogs are free.")) + "\n/F2 11 Tf 1 0 0 1 72 500 Tm (abcd) Tj"
    data = make_pdf([page], extra=symbols).replace(b"/F1 3 0 R", b"/F1 3 0 R/F2 6 0 R")
    parsed = parse(data)
    assert len(parsed.text.splitlines()) == 3
    assert titles(parsed) == []


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
    assert titles(parsed) == ["Dogs and cats"]


def test_a_paragraph_in_larger_type_is_no_heading() -> None:
    page = make_page((11, "Adults pay 12 euros. " * 30), *((18, f"word {n}") for n in range(19)))
    parsed = parse(make_pdf([page]))
    assert "word 18" in parsed.text
    assert titles(parsed) == []


def test_a_page_in_one_size_has_no_headings() -> None:
    parsed = parse(make_pdf([make_page((12, "Prices"), (12, "Adults pay 12."))]))
    assert titles(parsed) == []


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
@pytest.mark.case("doc-pdf-and-ligatures")
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
    assert [parsed.text[heading.start :][:4] for heading in parsed.headings] == ["Dogs"]


def test_a_sentence_across_pages_is_in_one_chunk_that_knows_its_page() -> None:
    data = make_pdf(["Foreword.", "The warranty of the K9 kettle ends", "after 36 months."])
    request = ingest_request(filename="k9-manual.pdf")
    (chunk,) = contextualize(parse(data), request, word_offsets, window=256)
    assert chunk.text.split("\f")[1:] == ["The warranty of the K9 kettle ends", "after 36 months."]
    assert chunk.page == 1
    pages = [chunk.page for chunk in contextualize(parse(make_pdf(PAGES)), request, word_offsets, window=60)]
    assert pages == sorted(pages)
    assert len(set(pages)) > 3


PAGES = [
    make_page(
        (9, "Kestrel K9 manual" if number % 2 else "Care and repair"),
        (11, f"The part {number} of the kettle has {number * 7} screws and {number} rings."),
        *((11, f"Sentence {number}.{n} says how the part is taken out and put back.") for n in range(4)),
        (9, f"Page {number + 4} of 12"),
    )
    for number in range(1, 9)
]


def test_running_heads_go_but_for_the_first_and_page_numbers_go() -> None:
    text = parse(make_pdf(PAGES)).text
    assert (text.count("Kestrel K9 manual"), text.count("Care and repair"), text.count("of 12")) == (1, 1, 0)
    for number in range(1, 9):
        assert f"The part {number} of the kettle has {number * 7} screws" in text
        assert text.count(f"Sentence {number}.") == 4


def test_a_heading_is_found_behind_the_blank_lines_of_a_running_head() -> None:
    head = r"/F1 12 Tf 1 0 0 1 72 780 Tm (Kestrel) Tj 1 0 0 1 72 750 Tm (\r\n\r\n) Tj"
    body = "1 0 0 1 72 600 Tm /F1 20 Tf (Part {0}) Tj 1 0 0 1 72 560 Tm /F1 12 Tf (The part {0} has screws) Tj"
    parsed = parse(make_pdf([f"{head} {body.format(name)}" for name in ("one", "two", "three", "four")]))
    assert [heading.title for heading in parsed.headings] == ["Part one", "Part two", "Part three", "Part four"]
    assert all(parsed.text.startswith(f"{heading.title}\n", heading.start) for heading in parsed.headings)


def test_a_long_line_is_read_as_fast_as_many_short_ones() -> None:
    words = 4_000
    long, short = (
        f"/F1 1 Tf 1 0 0 1 0 700 Tm {drawing}"
        for drawing in (f"({'ab ' * words}) Tj", "1 TL " + "(ab ab ab ab) Tj T* " * (words // 4))
    )
    few, one = (measure(partial(parse, make_pdf([page]))) for page in (short, long))
    assert one < 8 * few


def test_a_page_in_front_changes_no_other_chunk() -> None:
    request = ingest_request(filename="k9-manual.pdf")
    sections = [make_page((18, f"Part {n}"), (11, f"The part number {n} costs {n * 3} euros.")) for n in range(4)]
    front = make_page((18, "Foreword"), (11, "Thank you for reading this."))
    before, after = (
        contextualize(parse(make_pdf(pages)), request, word_offsets, window=256)
        for pages in (sections, [front, *sections])
    )
    assert [chunk.digest for chunk in before] == [chunk.digest for chunk in after[1:]]
    assert [chunk.page for chunk in after] == [1, 2, 3, 4, 5]


def test_headings_that_count_are_no_page_numbers() -> None:
    pages = [make_page((18, f"Lesson {n}"), (11, f"Words of the lesson, {n * n} of them.")) for n in range(1, 6)]
    assert titles(parse(make_pdf(pages))) == [f"Lesson {n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    "title",
    [
        "Untitled",
        "manual-k9.docx",
        "Microsoft Word - manual-k9.doc",
        "Document1",
        r"\(anonymous\)",
        "Unbenannt",
        "Book1",
    ],
)
def test_a_title_that_nobody_gave_is_none(title: str) -> None:
    assert parse(make_pdf(["x"], extra=f"<</Title({title})>>".encode(), trailer=b"/Info 6 0 R")).title == ""


def test_the_only_heading_of_its_level_is_the_title_where_none_was_given() -> None:
    page = make_page((18, "Spare parts 2026"), (11, "Prices with tax."), (13, "Lid"), (11, "A lid costs 7 euros."))
    assert parse(make_pdf([page])).title == "Spare parts 2026"
    two = make_page((18, "Lid"), (11, "A lid costs 7 euros."), (18, "Base"), (11, "A base costs 9 euros."))
    assert parse(make_pdf([two])).title == ""


def test_passages_of_two_manuals_are_told_apart_by_their_titles() -> None:
    page = make_page((13, "Warranty"), (11, "The warranty lasts 31 months."), (13, "Care"), (11, "Use vinegar only."))
    places = [
        [
            chunk.heading
            for chunk in contextualize(parse(make_pdf([page])), ingest_request(filename=name), word_offsets, window=256)
        ]
        for name in ("kestrel-k2.pdf", "kestrel-k7.pdf")
    ]
    assert places == [
        ["kestrel k2 > Warranty", "kestrel k2 > Care"],
        ["kestrel k7 > Warranty", "kestrel k7 > Care"],
    ]


def draw_table(rows: Sequence[Sequence[str]], lefts: Sequence[int], before: str, after: str) -> bytes:
    """Draw a page with a line, a table whose cells begin at `lefts`, and a line."""
    parts = [f"/F1 10 Tf 1 0 0 1 72 700 Tm ({before}) Tj"]
    for number, row in enumerate(rows, 1):
        cells = zip(lefts, row, strict=True)
        parts += [f"1 0 0 1 {left} {700 - 16 * number} Tm ({text}) Tj" for left, text in cells if text]
    parts.append(f"1 0 0 1 72 {700 - 16 * (len(rows) + 1)} Tm ({after}) Tj")
    return make_pdf(["\n".join(parts)])


def test_an_empty_cell_of_a_table_keeps_its_column() -> None:
    rows = [("Model", "Warranty", "Price"), ("K2", "", "49"), ("K7 with lid", "31", "59"), ("K9", "12", "")]
    before, after = "The prices of this year, without the postage:", "All prices are in euros and hold until May."
    parsed = parse(draw_table(rows, (72, 200, 330), before, after))
    assert parsed.text == "\n".join([before, *(write_row(row) for row in rows), after])


def test_a_table_is_a_block_with_the_row_that_names_its_columns_as_head() -> None:
    rows = [["Route", "Adult", "Child"], ["Norvik", "12.50", "6.25"], ["Sund", "7.00", "3.50"]]
    parsed = parse(draw_table(rows, (72, 200, 330), "Before.", "After."))
    assert [parsed.text[block.start : block.end].split("\n") for block in parsed.blocks] == [
        ["Route | Adult | Child", "Norvik | 12.50 | 6.25", "Sund | 7.00 | 3.50"]
    ]
    assert [parsed.text[block.start : block.head] for block in parsed.blocks] == ["Route | Adult | Child\n"]
    [block] = parse(draw_table([["one", "two"], ["three", "four"]], (72, 200), "Before.", "After.")).blocks
    assert block.head == block.start


def test_the_header_of_a_table_that_goes_on_stays_on_each_page() -> None:
    pages: list[str] = []
    for port in ("Norvik", "Sund", "Hamn", "Oster"):
        rows = [["Harbor Line"], ["Route", "Adult"], [f"{port} East", "12.50"], [f"{port} West", "7.00"]]
        cells = [
            (left, 740 - 20 * n, cell) for n, row in enumerate(rows) for left, cell in zip((72, 250), row, strict=False)
        ]
        pages.append("/F1 12 Tf" + "".join(f" 1 0 0 1 {left} {top} Tm ({cell}) Tj" for left, top, cell in cells))
    parsed = parse(make_pdf(pages))
    assert parsed.text.count("Harbor Line") == 1
    assert [parsed.text[block.start : block.head] for block in parsed.blocks] == ["Route | Adult\n"] * 4


def test_headings_behind_a_table_stand_where_they_are() -> None:
    page = "/F1 10 Tf 1 0 0 1 72 700 Tm (K2) Tj 1 0 0 1 300 700 Tm (49) Tj 1 0 0 1 72 684 Tm (K7) Tj "
    page += "1 0 0 1 300 684 Tm (59) Tj /F1 20 Tf 1 0 0 1 72 640 Tm (Care) Tj "
    page += "/F1 10 Tf 1 0 0 1 72 620 Tm (Descale the kettle every month with an acid.) Tj"
    parsed = parse(make_pdf([page]))
    (heading,) = parsed.headings
    assert parsed.text[heading.start :].startswith("Care\n")
    assert parsed.text.startswith("K2 | 49\nK7 | 59\n")


def test_a_word_parted_by_a_line_is_whole_and_a_footer_is_none_of_it() -> None:
    lines = [
        (72, 700, "The goods lie in a ware-"),
        (72, 688, "house of the Nord-"),
        (72, 676, "Ost line, and in a ware-"),
    ]
    page = "/F1 10 Tf" + "".join(
        f" 1 0 0 1 {x} {y} Tm ({text}) Tj" for x, y, text in [*lines, (280, 40, "Page 1 of 3")]
    )
    text = parse(make_pdf([page])).text
    assert " ".join(text.split()).startswith("The goods lie in a warehouse of the Nord-Ost line, and in a ware")
    assert text.split("\n")[-1] == "Page 1 of 3"


@given(
    table=st.lists(
        st.lists(st.sampled_from(["", "K2", "19", "a few words"]), min_size=4, max_size=4), min_size=2, max_size=8
    )
)
@settings(max_examples=25)
def test_tables_come_back_with_all_their_columns(table: list[list[str]]) -> None:
    # Rows with one cell say nothing of columns; every column is named, as tables are.
    rows = [["name", "first", "second", "third"], *([f"row {n}", *row[1:]] for n, row in enumerate(table))]
    rows = [row for row in rows if sum(map(bool, row)) > 1]
    parsed = parse(draw_table(rows, (72, 180, 290, 400), "Before the table stands a line.", "And one stands after it."))
    lines = parsed.text.splitlines()[1:-1]
    assert lines == ([write_row(row) for row in rows] if len(rows) > 1 else [" ".join(rows[0])])


@pytest.mark.parametrize(
    "drawing",
    [
        "3 Tr (evil words) Tj",
        "1 1 1 rg (evil words) Tj",
        "1 0 0 1 72 -90 Tm (evil words) Tj",
        "1 0 0 1 900 300 Tm (evil words) Tj",
        "/F1 0.5 Tf (evil words) Tj",
    ],
    ids=["invisible", "white", "below", "beside", "tiny"],
)
def test_text_of_a_pdf_that_no_reader_sees_is_left_out_and_told(drawing: str) -> None:
    page = f"/F1 12 Tf 72 700 Td (Dogs are free.) Tj 0 -30 Td {drawing}"
    parsed = parse(make_pdf([page]))
    assert (parsed.text, parsed.warnings) == ("Dogs are free.", ["9 characters of hidden text were left out."])


def test_white_text_of_a_pdf_on_a_dark_ground_is_seen() -> None:
    page = "/F1 12 Tf ET 0 0 0.4 rg 60 680 300 40 re f BT 1 1 1 rg 72 700 Td (Dogs are free.) Tj"
    parsed = parse(make_pdf([page]))
    assert (parsed.text, parsed.warnings) == ("Dogs are free.", [])
