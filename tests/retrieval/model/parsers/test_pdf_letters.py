"""Pages that are turned, or written sideways: they read as they do when they are held to be read."""

import io

import pypdfium2 as pdfium
import pytest

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.office_files import FILES
from tests.retrieval.model.parsers.pdf_files import make_field, make_pdf

pytestmark = pytest.mark.model

MATRICES = {
    0: (1, 0, 0, 1, 50, 700),
    90: (0, 1, -1, 0, 100, 50),
    180: (-1, 0, 0, -1, 550, 100),
    270: (0, -1, 1, 0, 500, 750),
}
"""By the turn that makes the text upright: where its lines run, and where they begin."""
LINES = [
    [(20, 0, "Prices")],
    [(10, 0, "All of them are for a kettle, in pounds.")],
    [(10, 0, "Model"), (10, 200, "Price"), (10, 400, "Warranty")],
    [(10, 0, "K2"), (10, 200, "49"), (10, 400, "24 months")],
    [(10, 0, "K7"), (10, 200, "59"), (10, 400, "36 months")],
    [(10, 0, "Please pay the whole price in a month.")],
    [(10, 0, "Paid:")],
]
TEXT = (
    "Prices\nAll of them are for a kettle, in pounds.\nModel | Price | Warranty\nK2 | 49 | 24 months\n"
    "K7 | 59 | 36 months\nPlease pay the whole price in a month.\nPaid: in May"
)


def place(turn: int, along: float, down: float) -> tuple[float, float]:
    """Return where on the sheet a place is that is so far along a line, and so far below the first one."""
    a, b, c, d, x, y = MATRICES[turn]
    return x + a * along - c * down, y + b * along - d * down


def draw(turn: int, rotation: int) -> bytes:
    """Draw a page with a form's field, whose text runs in a direction, and that is shown rotated."""
    parts = [
        "/F1 {} Tf {} {} {} {} {} {} Tm ({}) Tj".format(size, *MATRICES[turn][:4], *place(turn, along, 30 * row), text)
        for row, cells in enumerate(LINES)
        for size, along, text in cells
    ]
    corners = *place(turn, 40, 182), *place(turn, 140, 170)
    field = make_field("in May", " ".join(f"{number:g}" for number in corners))
    document = pdfium.PdfDocument(make_pdf(["\n".join(parts)], annotations=[field]))
    document[0].set_rotation(rotation)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def read(data: bytes) -> ParsedDocument:
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits())


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("turn", MATRICES)
def test_a_page_reads_the_same_however_it_is_turned(turn: int, rotation: int) -> None:
    parsed = read(draw(turn, rotation))
    assert parsed.text == TEXT
    assert [heading.title for heading in parsed.headings] == ["Prices"]
    assert [block.kind for block in parsed.blocks] == ["table"]


def test_a_few_words_at_the_edge_turn_no_page() -> None:
    stamp = "/F1 10 Tf 0 1 -1 0 30 300 Tm (Received in May) Tj"
    lines = [
        f"1 0 0 1 {left} {top} Tm ({text}) Tj"
        for top in (700, 680)
        for left, text in ((72, "Kestrel"), (300, "49 pounds"))
    ]
    parsed = read(make_pdf(["\n".join([stamp, *lines])]))
    assert parsed.text == "Received in May\nKestrel | 49 pounds\nKestrel | 49 pounds"


def test_words_of_arabic_and_names_in_lines_from_right_to_left_are_spelt_as_they_are_read() -> None:
    data = (FILES / "right-to-left.pdf").read_bytes()
    lines = parse_pdf(FileContent(data, "application/pdf", ""), ParseLimits()).text.splitlines()
    assert lines[0].startswith("الغلاية K2 في الأول من الأسبوع")
    assert lines[1:] == ["كتاب ISO9001:2015 صالح لا يلزم", "הקומקום K2-Pro עולה 49 אירו"]
