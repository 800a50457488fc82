import io
import zipfile
from collections.abc import Callable

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from tests.retrieval.model.parsers.office_files import make_docx, make_odt, make_pptx, make_xlsx, repack

pytestmark = pytest.mark.model

HEAD = "Country | Hotel | Hotel | Meals | Meals\nCountry | Capital | Elsewhere | Full day | Half day\n"
BODY = "Norway | 190 | 150 | 80 | 40\nJapan | 210 | 160 | 66 | 33"
ROWS = [["Capital", "Elsewhere", "Full day", "Half day"], *(line.split(" | ") for line in BODY.split("\n"))]


def read(data: bytes) -> ParsedDocument:
    return read_document(data, "upload", ParseLimits())


def make_page(cell: str, group: str) -> bytes:
    """Return a page with the table; `cell` and `group` are the elements of its head."""
    top = "".join(f"<{cell} colspan=2>{name}</{cell}>" for name in ("Hotel", "Meals"))
    below = "".join(f"<{cell}>{text}</{cell}>" for text in ROWS[0])
    body = "".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in ROWS[1:])
    head = f"<{group}><tr><{cell} rowspan=2>Country</{cell}>{top}</tr><tr>{below}</tr></{group}>"
    return f"<html><body><table>{head}{body}</table></body></html>".encode()


def make_word_file() -> bytes:
    def make_cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"

    span = '<w:gridSpan w:val="2"/>'
    top = make_cell("Country", '<w:vMerge w:val="restart"/>') + make_cell("Hotel", span) + make_cell("Meals", span)
    below = make_cell("", "<w:vMerge/>") + "".join(map(make_cell, ROWS[0]))
    rows = [top, below, *("".join(map(make_cell, row)) for row in ROWS[1:])]
    return make_docx("<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>")


def make_slides() -> bytes:
    def make_cell(text: str, merge: str = "") -> str:
        return f"<a:tc {merge}><a:txBody/><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></a:tc>"

    top = make_cell("Country", 'rowSpan="2"')
    top += "".join(make_cell(name, 'gridSpan="2"') + make_cell("", 'hMerge="1"') for name in ("Hotel", "Meals"))
    below = make_cell("", 'vMerge="1"') + "".join(map(make_cell, ROWS[0]))
    rows = [top, below, *("".join(map(make_cell, row)) for row in ROWS[1:])]
    table = "<a:tbl>" + "".join(f"<a:tr>{row}</a:tr>" for row in rows) + "</a:tbl>"
    frame = f"<p:graphicFrame><a:graphic><a:graphicData>{table}</a:graphicData></a:graphic></p:graphicFrame>"
    data = make_pptx([["Prices"]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        slide = archive.read("ppt/slides/0.xml").decode()
    return repack(data, ppt_slides_0_xml=slide.replace("</p:spTree>", f"{frame}</p:spTree>"))


def make_workbook() -> bytes:
    def make_cell(place: str, text: str) -> str:
        if text.isdecimal():
            return f'<c r="{place}"><v>{text}</v></c>'
        return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'

    rows = [["Country", "Hotel", "", "Meals"], ["", *ROWS[0]], *ROWS[1:]]
    cells = [
        [make_cell(f"{column}{number}", text) for column, text in zip("ABCDE", row, strict=False) if text]
        for number, row in enumerate(rows, 1)
    ]
    data = "".join(f'<row r="{number}">{"".join(row)}</row>' for number, row in enumerate(cells, 1))
    merges = "".join(f'<mergeCell ref="{place}"/>' for place in ("A1:A2", "B1:C1", "D1:E1"))
    return make_xlsx([], f"<sheetData>{data}</sheetData><mergeCells>{merges}</mergeCells>")


def make_open_table(kind: str) -> bytes:
    def make_cell(text: str, spans: str = "") -> str:
        return f"<table:table-cell {spans}><text:p>{text}</text:p></table:table-cell>"

    covered = "<table:covered-table-cell/>"
    wide = 'table:number-columns-spanned="2"'
    top = make_cell("Country", 'table:number-rows-spanned="2"')
    top += "".join(make_cell(name, wide) + covered for name in ("Hotel", "Meals"))
    rows = [top, covered + "".join(map(make_cell, ROWS[0])), *("".join(map(make_cell, row)) for row in ROWS[1:])]
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return make_odt(f'<table:table table:name="Prices">{lines}</table:table>', kind)


def make_rich_text() -> bytes:
    def make_row(cells: list[str], ends: list[int], first: str) -> str:
        places = "".join(f"{first if number == 0 else ''}\\cellx{end}" for number, end in enumerate(ends))
        return "\\trowd" + places + "\\intbl " + "".join(f"{text}\\cell " for text in cells) + "\\row\n"

    ends = [1000, 2000, 3000, 4000, 5000]
    text = make_row(["Country", "Hotel", "Meals"], [1000, 3000, 5000], "\\clvmgf")
    text += make_row(["", *ROWS[0]], ends, "\\clvmrg")
    text += "".join(make_row(row, ends, "") for row in ROWS[1:])
    return f"{{\\rtf1\\ansi {text}}}".encode()


@pytest.mark.parametrize(
    "make",
    [
        make_word_file,
        make_slides,
        make_workbook,
        lambda: make_open_table("text"),
        lambda: make_open_table("spreadsheet"),
        make_rich_text,
        lambda: make_page("th", "thead"),
        lambda: make_page("td", "thead"),
        lambda: make_page("th", "tbody"),
        lambda: make_page("td", "tbody"),
    ],
)
def test_a_head_of_two_rows_is_one_and_names_over_columns_stand_above_each(make: Callable[[], bytes]) -> None:
    parsed = read(make())
    [block] = [block for block in parsed.blocks if block.kind == "table"]
    assert parsed.text[block.start : block.head] == HEAD
    assert parsed.text[block.head : block.end] == BODY


@pytest.mark.parametrize(
    ("table", "head"),
    [
        ("<tr><td></td><th>2025</th><th>2026</th></tr><tr><th>Rent</th><td>12</td><td>13</td></tr>", "| 2025 | 2026\n"),
        ("<tr><td>Item</td><td>Price</td></tr><tr><td>Rent</td><td>12</td></tr>", "Item | Price\n"),
        ("<tr><td>Plant</td><td>Moe</td></tr><tr><td>Desk</td><td>Ida</td></tr>", ""),
        (
            "<tr><th>Item</th><th>Price</th></tr><tr><th colspan=2>Flats</th></tr><tr><td>Rent</td><td>12</td></tr>",
            "Item | Price\n",
        ),
        ("<tr><th>Item</th><th>Price</th></tr><tr><th>Rent</th><th>12</th></tr>", "Item | Price\n"),
        (
            "<tr><th colspan=2>May</th></tr><tr><td>Item</td><td>Price</td></tr><tr><td>Rent</td><td>12</td></tr>",
            "May |\nItem | Price\n",
        ),
        (
            "<tr><td colspan=2>May</td></tr><tr><td></td><th>Cook</th></tr><tr><td>Ida</td><td>yes</td></tr>",
            "May |\n| Cook\n",
        ),
        (
            "<tr><th colspan=3>May</th></tr><tr><td>Item</td><td colspan=2>Price</td></tr><tr><td>Rent</td><td>12</td>"
            "<td>13</td></tr>",
            "May |  |\nItem | Price | Price\n",
        ),
    ],
)
def test_the_head_of_a_pages_table_is_what_names_its_columns(table: str, head: str) -> None:
    parsed = read(f"<html><body><table>{table}</table></body></html>".encode())
    [block] = parsed.blocks
    assert parsed.text[block.start : block.head] == head


def test_rows_of_headers_that_are_merged_make_no_page_a_hundred_times_as_long() -> None:
    row = f"<tr><th colspan=100>{'name ' * 100}</th><th>b</th></tr>"
    page = f"<html><body><table>{row * 50}</table><table>{row}<tr><td>1</td><td>2</td></tr></table></body></html>"
    assert len(read(page.encode()).text) < 2 * len(page)


def test_of_a_table_of_headers_alone_only_the_first_rows_stand_above_each_column() -> None:
    table = "".join(f"<tr><th colspan=2>a{number}</th><th colspan=2>b{number}</th></tr>" for number in range(6))
    assert read(f"<html><body><table>{table}</table></body></html>".encode()).text.splitlines()[-1] == "a5 |  | b5 |"


def test_a_cell_over_several_columns_below_the_head_stands_once() -> None:
    table = "<tr><th>Item</th><th>Price</th></tr><tr><td colspan=2>sold out</td></tr><tr><td>Rent</td><td>12</td></tr>"
    assert read(f"<html><body><table>{table}</table></body></html>".encode()).text == (
        "Item | Price\nsold out |\nRent | 12"
    )
