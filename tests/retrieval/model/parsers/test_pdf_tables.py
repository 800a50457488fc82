"""Tables as programs write them: cell after cell, each with all of its lines."""

from collections.abc import Sequence

import pytest

from retrieval.parsers.parsed_document import FileContent, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from retrieval.parsers.table_rows import write_row
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

_LEADING = 12
Row = Sequence[Sequence[str]]


def draw(rows: Sequence[Row], lefts: Sequence[int], *, centred: bool = False, gap: int = 8) -> str:
    """Draw rows whose cells are lists of lines, top-aligned or centred, and return the page's text."""
    parts, top = ["/F1 10 Tf"], 700.0
    for row in rows:
        height = max(len(cell) for cell in row)
        for left, cell in zip(lefts, row, strict=True):
            shift = (height - len(cell)) / 2 if centred else 0
            parts += [
                f"1 0 0 1 {left} {top - _LEADING * (shift + n)} Tm ({line}) Tj" for n, line in enumerate(cell) if line
            ]
        top -= _LEADING * height + gap
    return parse_pdf(FileContent(make_pdf(["\n".join(parts)]), "application/pdf"), ParseLimits()).text


def join(rows: Sequence[Row]) -> list[str]:
    return [write_row(" ".join(cell) for cell in row) for row in rows]


HEAD = [["Part"], ["What it is"], ["Price"]]
WRAPPED = {
    "first": [[["Gasket of", "silicone", "for lids"], ["a part"], ["1.50"]], [["Lid"], ["a part"], ["2.50"]]],
    "middle": [[["P-1"], ["a gasket of", "silicone for", "lids"], ["1.50"]], [["P-2"], ["a lid"], ["2.50"]]],
    "last": [[["P-1"], ["a gasket"], ["1.50 or", "2.50 with", "a lid"]], [["P-2"], ["a lid"], ["2.50"]]],
    "all": [[["P-1", "new"], ["a gasket", "of silicone", "for lids"], ["1.50 or", "more"]]] * 2,
}


@pytest.mark.parametrize("rows", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("gap", [0, 8])
def test_a_cell_of_several_lines_is_one_of_its_row(rows: Sequence[Row], gap: int) -> None:
    table = [HEAD, *rows, [["P-9"], ["the end"], ["9"]]]
    assert draw(table, (72, 200, 330), gap=gap).split("\n") == join(table)


@pytest.mark.parametrize("lines", [2, 3])
def test_a_cell_beside_the_middle_of_another_is_of_its_row(lines: int) -> None:
    long = ["How long is the", "warranty of the", "kettle with a lid?"][:lines]
    table = [[[*long], ["24 months"], ["5"]], [[*long], ["31 months"], ["6"]]]
    assert draw(table, (72, 200, 330), centred=True).split("\n") == join(table)


def test_columns_of_a_page_are_no_table() -> None:
    column = [f"line {n} of this column" for n in range(20)]
    other = [f"line {n} of the other" for n in range(20)]
    assert draw([[column, other]], (72, 300)).split("\n") == [*column, *other]


def test_a_paragraph_below_a_table_is_none_of_its_cells() -> None:
    table = [HEAD, *WRAPPED["last"]]
    text = draw(
        [*table, [["A paragraph below the table that is as wide as all of it, which ends here."], [""], [""]]],
        (72, 200, 330),
    )
    assert text.split("\n") == [
        *join(table),
        "A paragraph below the table that is as wide as all of it, which ends here.",
    ]


def test_a_cell_that_fills_its_column_is_apart_from_the_next() -> None:
    table = [HEAD, *[[[f"P-{n}"], ["a part that fills the column"], [f"{n}.50"]] for n in range(1, 4)]]
    assert draw(table, (72, 200, 334)).split("\n") == join(table)


def test_a_cell_across_columns_stands_in_the_first_of_them() -> None:
    rows = [
        HEAD,
        *WRAPPED["first"][1:],
        [["P-3"], ["not made any more, ask us for one"], [""]],
        [["P-4"], ["a lid"], ["4.50"]],
    ]
    assert draw(rows, (72, 200, 280)).split("\n") == join(rows)
