"""Cells with signs that bound columns, of every format with tables: each is told apart from the others in the text."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.parsers.table_rows import read_row, write_row
from tests.retrieval.model.parsers.office_files import make_docx, make_epub, make_odt, make_pptx, make_xlsx, repack
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

_Rows = Sequence[Sequence[str]]
HEAD = ["Name", "Second", "Third"]
WORDS = st.text("ab|\\", min_size=1, max_size=3)
CELLS = st.lists(st.one_of(WORDS, st.just("|")), max_size=3).map(" ".join) | st.lists(WORDS, max_size=2).map("\n".join)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4)


def nest(rows: _Rows, row: str, cell: str, end: str = "\n") -> str:
    """Write rows and cells by their templates; `end` is what ends a line in a cell."""
    return "".join(
        row.format("".join(cell.format(escape(text).replace("\n", end)) for text in cells)) for cells in rows
    )


def write_html(rows: _Rows) -> str:
    return f"<p>Prices</p><table>{nest(rows, '<tr>{}</tr>', '<td>{}</td>', '<br/>')}</table>"


def write_odf(rows: _Rows) -> str:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    rows_written = nest(rows, "<table:table-row>{}</table:table-row>", cell, "<text:line-break/>")
    return f"<table:table>{rows_written}</table:table>"


def write_docx(rows: _Rows) -> bytes:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    return make_docx(f"<w:tbl>{nest(rows, '<w:tr>{}</w:tr>', cell, '</w:t><w:br/><w:t>')}</w:tbl>")


def write_pptx(rows: _Rows) -> bytes:
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    table = nest(rows, "<a:tr>{}</a:tr>", cell, "</a:t></a:r><a:br/><a:r><a:t>")
    slide = (
        '<p:sld xmlns:p="p" xmlns:a="a"><p:cSld><p:spTree><p:graphicFrame><a:graphic><a:graphicData>'
        f"<a:tbl>{table}</a:tbl></a:graphicData></a:graphic></p:graphicFrame></p:spTree></p:cSld></p:sld>"
    )
    return repack(make_pptx([["Prices"]]), ppt_slides_0_xml=slide)


def write_rtf(rows: _Rows) -> bytes:
    lines: list[str] = []
    for row in rows:
        cells = "".join(f"{cell}\\cell " for cell in (text.replace("\\", "\\\\") for text in row))
        lines.append("\\trowd\\cellx2000\\cellx4000\\cellx6000\\intbl " + cells.replace("\n", "\\line ") + "\\row\n")
    return f"{{\\rtf1 {''.join(lines)}}}".encode()


def write_delimited(rows: _Rows, delimiter: str) -> bytes:
    buffer = io.StringIO()
    buffer.write(f"sep={delimiter}\n")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def write_marked(rows: _Rows, opening: str, rule: str, closing: str) -> bytes:
    """Write rows as authors of Markdown and AsciiDoc do, in one line each."""
    lines = ["".join(f"|{' '.join(cell.replace('|', chr(92) + '|').split())} " for cell in row) for row in rows]
    ended = [f"{line}|" if rule else line for line in lines]
    return "\n".join([opening, ended[0], *([rule] if rule else []), *ended[1:], closing]).encode()


def draw(rows: _Rows, ruled: bool) -> bytes:
    """Draw rows with each cell in a line, with rules around all cells or with none."""
    lefts = (72, 200, 330)
    parts = ["/F1 10 Tf 1 0 0 1 72 720 Tm (Prices of this year) Tj"]
    for number, row in enumerate(rows):
        for left, cell in zip(lefts, row, strict=True):
            if text := " ".join(cell.replace("\\", "\\\\").split()):
                parts.append(f"1 0 0 1 {left} {700 - 16 * number} Tm ({text}) Tj")
    if ruled:
        tops = [712 - 16 * number for number in range(len(rows) + 1)]
        level = [f"67 {top} m 450 {top} l S" for top in tops]
        upright = [f"{left} {tops[0]} m {left} {tops[-1]} l S" for left in (67, 195, 325, 450)]
        parts += ["\nET", *level, *upright, "BT"]
    return make_pdf(["\n".join(parts)])


SLIDE = "<draw:page><draw:frame>{}</draw:frame></draw:page>"
WRITERS: dict[str, Callable[[_Rows], bytes]] = {
    "x.html": lambda rows: write_html(rows).encode(),
    "x.epub": lambda rows: make_epub({"one.xhtml": f"<html><body>{write_html(rows)}</body></html>"}),
    "x.docx": write_docx,
    "x.pptx": write_pptx,
    "x.xlsx": make_xlsx,
    "x.odt": lambda rows: make_odt(write_odf(rows)),
    "x.ods": lambda rows: make_odt(write_odf(rows), "spreadsheet"),
    "x.odp": lambda rows: make_odt(SLIDE.format(write_odf(rows)), "presentation"),
    "x.rtf": write_rtf,
    "x.csv": lambda rows: write_delimited(rows, ","),
    "x.tsv": lambda rows: write_delimited(rows, "\t"),
    "x.md": lambda rows: write_marked(rows, "", "|---|---|---|", ""),
    "x.adoc": lambda rows: write_marked(rows, '[options="header"]\n|===', "", "|==="),
    "x.pdf": lambda rows: draw(rows, ruled=False),
    "ruled.pdf": lambda rows: draw(rows, ruled=True),
}
FLAT = re.compile(r"(?<!\\)\|")


def read_table(name: str, rows: _Rows) -> list[list[str]]:
    """Return the cells of a file's table by the lines of its text, as a reader of Markdown tells them apart."""
    parsed = read_document(WRITERS[name](rows), name, ParseLimits())
    [block] = [block for block in parsed.blocks if block.kind == "table"]
    lines = [line for line in parsed.text[block.start : block.end].split("\n") if not line.startswith("|---")]
    if name.endswith(".md"):
        lines = [line.removeprefix("|").removesuffix("|") for line in lines]
    return [[cell.strip().replace("\\|", "|") for cell in FLAT.split(line)] for line in lines]


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, deadline=None)
@given(TABLES)
@example([["Pound|net", "a | b"]])
@example([["ends in \\", "\\| begins"], ["|", ""], ["", "| |"]])
def test_the_cells_of_a_table_come_back_from_its_text(name: str, table: list[list[str]]) -> None:
    if name.endswith(".pdf"):  # in which a row of one cell is a line
        table = [*filter(any, table), ["a", "b"]]
    rows = [HEAD, *([f"row {number}", *cells] for number, cells in enumerate(table))]
    assert read_table(name, rows) == [[" ".join(cell.split()) for cell in row] for row in rows]


@given(st.lists(st.text("ab |\\").map(str.strip), min_size=1))
def test_a_row_that_was_written_is_read_with_its_cells(cells: list[str]) -> None:
    line = write_row(cells)
    assert read_row(line) == (cells if any(cells) else [""])
