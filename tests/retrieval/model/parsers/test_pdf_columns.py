"""Columns of prose that a program wrote line by line across the page, and tables that look like them."""

from collections.abc import Sequence

import pytest

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.pdf import parse_pdf
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

SENTENCES = (
    "The kettle boils a litre of water within three minutes. While it does so the lamp beside the switch is red, and "
    "it turns green as soon as the water is hot enough for tea. Whoever lifts the lid before that ends the programme "
    "at once. Scale slows the heating down, so the inside wants to be cleaned every two months with a spoon of citric "
    "acid in cold water. Never put the base into water or hold it under the tap. If the cable is damaged, it has to be "
    "replaced by the service of the maker, since the opened case loses its protection."
)
WARRANTY = (
    "The warranty lasts for two years from the day of the purchase and covers faults of material and of assembly. It "
    "ends with any change to the kettle. It covers no scale, no scratches and no fall. Keep the bill, "
    "since the day on it is what counts. Send the kettle with its base and without water, and say in a few words what "
    "is wrong with it. Within ten days it comes back, or a new one comes in its place. What is sent without a bill "
    "stays with the maker for a month, and is then recycled."
)
TITLE, FIGURE = "All about the kettle", "Figure 1: the kettle from the side, with its lid and lamp, across all of it"
WIDTHS = {
    **dict.fromkeys("ijl'", 222),
    **dict.fromkeys("ft,.?:I ", 278),
    **dict.fromkeys("ckvxyszJ", 500),
    **{"r": 333, "w": 722, "m": 833, "W": 944},
}
"""Of Helvetica's signs, in thousandths of its size; of all others about 556."""


def wrap(text: str, width: int) -> list[str]:
    """Wrap a text of ten points to a width in points, as programs do."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if sum(WIDTHS.get(sign, 556) for sign in longer) <= width * 100:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw(columns: Sequence[Sequence[str]], lefts: Sequence[int], top: int = 700, leading: int = 12) -> str:
    """Draw the lines of columns, from the left to the right."""
    lines = ["/F1 10 Tf"]
    for number in range(max(map(len, columns))):
        for left, column in zip(lefts, columns, strict=True):
            if number < len(column):
                lines.append(f"1 0 0 1 {left} {top - leading * number} Tm ({column[number]}) Tj")
    return "\n".join(lines)


def read(*parts: str, size: bytes = b"[0 0 595 842]") -> ParsedDocument:
    data = make_pdf(["\n".join(parts)]).replace(b"MediaBox[0 0 595 842]", b"MediaBox" + size)
    return parse_pdf(FileContent(data, "application/pdf"), ParseLimits())


@pytest.mark.parametrize("wide", [False, True])
def test_columns_are_read_one_after_the_other(wide: bool) -> None:
    columns = [wrap(text, 240) for text in (SENTENCES, WARRANTY)]
    lefts = [40, 310] if not wide else [40, 500]
    parsed = read(draw(columns, lefts, 550), size=b"[0 0 842 595]" if wide else b"[0 0 595 842]")
    assert parsed.text.split("\n") == [*columns[0], *columns[1]]
    assert not parsed.blocks


def test_three_narrow_columns_are_read_one_after_the_other() -> None:
    columns = [wrap(text, 165) for text in (SENTENCES, WARRANTY, SENTENCES[120:])]
    assert read(draw(columns, (20, 200, 380))).text.split("\n") == [line for column in columns for line in column]


def test_what_is_as_wide_as_the_page_stands_between_columns_above_and_below() -> None:
    columns = [wrap(text, 240) for text in (SENTENCES, WARRANTY)]
    title = f"/F1 20 Tf 1 0 0 1 40 760 Tm ({TITLE}) Tj"
    middle = f"1 0 0 1 40 500 Tm ({FIGURE}) Tj"
    parsed = read(title, draw(columns, (40, 310)), middle, draw(columns[::-1], (40, 310), 470))
    assert parsed.text.split("\n") == [TITLE, *columns[0], *columns[1], FIGURE, *columns[1], *columns[0]]
    assert [(heading.title, parsed.text[heading.start :][:3]) for heading in parsed.headings] == [(TITLE, "All")]


QUESTIONS = ["How long does it take to boil a litre of water?", "What if it takes longer than it did before?"]
ANSWERS = ["Three minutes. With cold water it may be four.", "Clean it. Scale slows the heating down by a third."]
TABLES = {
    "sentences": [SENTENCES.split(". "), WARRANTY.split(". ")],
    "phrases": [
        [f"{verb} the lid for long" for verb in ("lift", "open", "shut", "wipe", "rinse", "dry", "lock")],
        [f"{verb} the water at once" for verb in ("boils", "cools", "spills", "keeps", "warms", "soils", "saves")],
    ],
    "answers": [
        [line for question in QUESTIONS * 3 for line in wrap(question, 150)],
        [line for answer in ANSWERS * 3 for line in wrap(answer, 150)],
    ],
    "parts": [[f"part number {n} of it" for n in range(9)], [f"{n}.50 euros, or more of it" for n in range(9)]],
}


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_rows_of_tables_stay_rows(columns: list[list[str]]) -> None:
    columns = [[cell[:38] for cell in column] for column in columns]
    text = read(draw(columns, (40, 310))).text
    assert f"{columns[0][0]} | {columns[1][0]}" in text


@pytest.mark.parametrize("distance", [12, 15])
def test_cells_of_many_lines_stay_beside_each_other(distance: int) -> None:
    cells = [wrap(text, 240) for text in (SENTENCES, WARRANTY)]
    text = read(draw(cells, (40, 310), 550), draw(cells, (40, 310), 550 - 9 * 12 - distance)).text
    assert text.replace("|", " ").split() == f"{SENTENCES} {WARRANTY} {SENTENCES} {WARRANTY}".split()
