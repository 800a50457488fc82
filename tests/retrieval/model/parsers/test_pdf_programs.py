"""PDF files that LibreOffice wrote: their order, their tables with empty cells, and their headings."""

from collections.abc import Sequence

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.office_files import FILES
from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf

pytestmark = pytest.mark.model

TEXT = """RUNNING HEAD
Kestrel handbook
Warranty
The warranty1
 of the K2 lasts REMOVED31 months.
Setup
1.Fill it.
2.Switch it on.
a)Wait for steam.
b)Pour.
3.Clean it.
Colours:
•red
•blue
Prices
Model | Euro | Pound\\|net
K2 | 49 sold out | 42
K7 |  | 59 in March
kettle --boil
 --now
Call 555
or write.
1 Not for the lid.
RUNNING FOOT"""

SHEETS = """Fares 2026
Page 1
Fares of Harbor Line
Route | Adult | Discount | From | Leaves
| 1,234.50 € | 12.5% | 01.03.2026 | 07:05
Norvik | 2,469.00 € | none |  |
Sund | 7.00 € | 0.1 |  |
Port | Phone
Hamn | 555 01"""

SLIDES = """The K2 in short
•It boils in 90 seconds.
–At sea level.
•It costs 49 euros.\fPrices
Model | Euro
K2 | 49
Free shipping.
No returns."""

PRICES = """Kestrel prices 2026
All prices include tax.
Model | Price | Warranty | Weight
K2 | 49 euros | 24 months | 900 g
K3 |  | 36 months | 950 g
K4 | 79 euros |  | 1,100 g
Returns
Within 30 days."""

READ = {
    "text.pdf": (TEXT, ["Model | Euro | Pound\\|net\n"], []),
    "sheets.pdf": (SHEETS, ["Route | Adult | Discount | From | Leaves\n", "Port | Phone\n"], []),
    "slides.pdf": (SLIDES, ["Model | Euro\n"], ["The K2 in short", "Prices"]),
    "prices.pdf": (PRICES, ["Model | Price | Warranty | Weight\n"], ["Kestrel prices 2026", "Returns"]),
}


@pytest.mark.parametrize("name", READ)
def test_a_pdf_of_a_program_reads_in_order_with_its_tables(name: str) -> None:
    text, heads, titles = READ[name]
    parsed = read_document((FILES / name).read_bytes(), name, ParseLimits())
    assert [line.rstrip() for line in parsed.text.split("\n")] == text.split("\n")
    assert [parsed.text[block.start : block.head] for block in parsed.blocks] == heads
    assert [heading.title for heading in parsed.headings] == titles


def read(*pages: str, wide: bool = False) -> ParsedDocument:
    data = make_pdf(pages)
    data = data.replace(b"[0 0 595 842]", b"[0 0 942 842]") if wide else data
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits())


def write(*words: tuple[int, int, str], size: int = 10) -> str:
    """Write words at places from the left and the lower edge."""
    return "\n".join([f"/F1 {size} Tf", *(f"1 0 0 1 {left} {base} Tm ({text}) Tj" for left, base, text in words)])


def rule(lefts: Sequence[int], tops: Sequence[int], *, apart: int = 0) -> str:
    """Rule a table; lines that are drawn cell by cell may be doubled, some apart."""
    level = [f"{lefts[0]} {top} m {lefts[-1]} {top} l S" for top in tops]
    upright = [f"{left + apart} {tops[0]} m {left + apart} {tops[-1]} l S" for left in lefts]
    return "\n".join(["\nET", *level, *upright, "BT"])


ROWS = [(50, 700, "Model"), (150, 700, "Price"), (200, 700, "Term"), (50, 680, "K3"), (202, 680, "36 months")]
RULED = rule([45, 145, 195, 295], [715, 695, 675])


@pytest.mark.parametrize("apart", [0, 1])
def test_an_empty_cell_between_lines_keeps_its_column(apart: int) -> None:
    text = read(write(*ROWS) + RULED + rule([45, 145, 195, 295], [715, 695, 675], apart=apart)).text
    assert text == "Model | Price | Term\nK3 |  | 36 months"


def test_filled_cells_are_ruled_by_their_edges() -> None:
    boxes = [
        f".9 g {left} {low} {width} 20 re f" for low in (695, 675) for left, width in [(45, 100), (145, 50), (195, 99)]
    ]
    page = "\n".join([write((10, 760, "")), "ET", *boxes, "0 g BT", write(*ROWS)])
    assert read(page).text == "Model | Price | Term\nK3 |  | 36 months"


def test_what_a_cell_over_several_rows_says_stands_in_each_of_them() -> None:
    lines = rule([145, 195, 295], [715, 695, 675]) + "\nET 45 715 m 145 715 l 45 675 m 145 675 l 45 675 m 45 715 l S BT"
    words = (50, 690, "Norvik"), (150, 700, "from 7"), (200, 700, "on"), (150, 680, "from 9"), (200, 680, "off")
    assert read(write(*words) + lines).text == "Norvik | from 7 | on\nNorvik | from 9 | off"


def test_a_name_over_all_columns_stands_above_the_table() -> None:
    lines = rule([45, 145, 195, 295], [715, 695, 675]) + "\nET 45 715 m 45 735 l 295 735 l 295 715 l S BT"
    parsed = read(write((100, 720, "All prices"), *ROWS) + lines)
    assert parsed.text == "All prices\nModel | Price | Term\nK3 |  | 36 months"
    assert [parsed.text[block.start : block.end].count("\n") for block in parsed.blocks] == [1]


def test_a_frame_around_columns_of_prose_makes_no_table() -> None:
    column = [(50, 700 - 12 * n, f"line {n} of this column") for n in range(20)]
    other = [(300, base, text.replace("this", "that")) for _, base, text in column]
    frame = rule([45, 295, 560], [715, 400, 390])
    text = read(write(*column, *other) + frame).text
    assert text.split("\n") == [text for _, _, text in (*column, *other)]


def test_lines_of_a_drawing_make_no_table() -> None:
    drawing = rule([40 + n for n in range(0, 500, 3)], [800 - n for n in range(0, 700, 3)])
    page = write((50, 700, "Fig. 1"), (50, 650, "It boils."))
    assert read(page + drawing).text == "Fig. 1\nIt boils."


def test_names_stand_above_numbers_that_are_at_the_other_edge_of_their_column() -> None:
    rows = [(50, 700, "Model"), (150, 700, "Euro"), (300, 700, "Note")]
    rows += [
        part
        for n in range(4)
        for part in ((90, 680 - 14 * n, f"K{n}"), (240, 680 - 14 * n, f"{n}9"), (300, 680 - 14 * n, "new"))
    ]
    assert read(write(*rows)).text.split("\n") == ["Model | Euro | Note", *(f"K{n} | {n}9 | new" for n in range(4))]


def test_a_group_of_rows_far_below_has_the_head_of_its_table() -> None:
    rows = [(50, 700, "Model"), (150, 700, "Euro")]
    rows += [part for base in (688, 676, 620, 608) for part in ((50, base, "K2"), (150, base, "49"))]
    assert len(read(write(*rows)).blocks) == 1


def test_a_title_drawn_last_is_read_first_but_not_that_of_a_column() -> None:
    points = (50, 500, "It boils in 90 seconds."), (50, 480, "It costs 49 euros.")
    late = read(write(*points) + "\n" + write((50, 550, "In short"), size=24))
    assert late.text.split("\n") == ["In short", "It boils in 90 seconds.", "It costs 49 euros."]
    beside = read(write(*points) + "\n" + write((400, 550, "In short"), size=24))
    assert beside.text.split("\n")[0] == "It boils in 90 seconds."


def test_points_of_a_slide_are_no_headings_where_another_slide_has_smaller_type() -> None:
    small = make_page((24, "First"), (10, "All of it in a line that is long enough to be most of the words."))
    large = make_page((24, "Second"), (18, "Free shipping"), (18, "No returns"))
    assert [heading.title for heading in read(small, large, wide=True).headings] == ["First", "Second"]
    assert len(read(small, large).headings) == 3


def test_a_table_in_a_cell_keeps_its_rows() -> None:
    outer = rule([45, 145, 395], [715, 695, 575])
    inner = rule([160, 220, 280], [680, 660, 640, 620])
    values = [(165 + 60 * m, 665 - 20 * n, f"v{n}{m}") for n in range(3) for m in range(2)]
    page = write((50, 700, "Name"), (150, 700, "Values"), (50, 590, "K2"), *values) + outer + inner
    assert [line for line in read(page).text.split("\n") if "v" in line] == ["v00 | v01", "v10 | v11", "v20 | v21"]


def test_a_cell_around_a_table_is_no_cell() -> None:
    outer = rule([45, 145, 395], [715, 695, 600])
    inner = rule([145, 200, 250], [695, 675, 655])
    values = [(150 + 55 * m, 680 - 20 * n, f"v{n}{m}") for n in range(2) for m in range(2)]
    page = write((50, 700, "Name"), (150, 700, "Values"), *values, (150, 610, "after them")) + outer + inner
    text = read(page).text
    assert "after them" in text.split("\n")
    assert text.count("after them") == 1


def test_prose_in_a_frame_between_two_rows_stays_in_its_lines() -> None:
    frame = "\nET 45 715 250 20 re 295 715 250 20 re 45 615 500 100 re 45 595 250 20 re 295 595 250 20 re S BT"
    steps = [(50, 700 - 14 * n, f"{n}. Fill it.") for n in range(5)]
    ends = [(50, 720, "Name: Berg"), (300, 720, "Date: 1 March")], [(50, 600, "Signed"), (300, 600, "Berg")]
    lines = read(write(*ends[0], *steps, *ends[1]) + frame).text.split("\n")
    assert lines[1:-1] == [text for *_, text in steps]


def test_a_large_name_over_a_table_is_a_heading_as_others_in_its_type_are() -> None:
    lines = rule([45, 145, 195, 295], [715, 695, 675]) + "\nET 45 715 m 45 745 l 295 745 l 295 715 l S BT"
    large = write((50, 722, "Data sheet"), size=18)
    below = write((50, 640, "Safety"), size=18) + "\n" + write((50, 600, "Never open it while it boils."))
    parsed = read(large + "\n" + write(*ROWS) + lines + below)
    assert parsed.text.split("\n")[:3] == ["Data sheet", "Model | Price | Term", "K3 |  | 36 months"]
    assert [heading.title for heading in parsed.headings] == ["Data sheet", "Safety"]


def test_a_heading_in_the_type_of_a_tables_names_is_one() -> None:
    head = write((50, 700, "Model"), (150, 700, "Euro"), size=14)
    rows = write(*(part for n in range(3) for part in ((50, 680 - 14 * n, f"K{n}"), (150, 680 - 14 * n, f"{n}9"))))
    rest = write((50, 600, "Safety"), size=14) + "\n" + write((50, 560, "Never open it while it boils."))
    parsed = read("\n".join([head, rows, rest]))
    assert "Model | Euro" in parsed.text
    assert [heading.title for heading in parsed.headings] == ["Safety"]


def test_a_name_beside_the_middle_of_a_text_stays_before_it() -> None:
    lines = [(200, 712 - 12 * n, text) for n, text in enumerate(["Thirty-six months", "on the heater,", "not more."])]
    text = read(write((50, 760, "Terms"), (50, 700, "Warranty"), *lines)).text
    assert text.split("\n") == ["Terms", "Warranty", *(text for *_, text in lines)]


def test_a_cell_over_a_thick_rule_makes_no_row_of_its_own() -> None:
    lines = "\nET 45 715 m 45 675 l 145 715 m 145 675 l 195 715 m 195 675 l 295 715 m 295 675 l 45 715 m 295 715 l"
    lines += " 45 675 m 295 675 l 145 697 m 295 697 l 145 694 m 295 694 l S BT"
    words = (50, 700, "Norvik"), (150, 700, "from 7"), (200, 700, "on"), (150, 680, "from 9"), (200, 680, "off")
    assert read(write(*words) + lines).text == "Norvik | from 7 | on\nNorvik | from 9 | off"
