import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.chunks import split_into_chunks
from retrieval.errors import DocumentUnreadable
from retrieval.parsers.delimited import parse_delimited
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean
from tests.processor_time import measure
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model


def parse(text: str) -> ParsedDocument:
    return parse_delimited(FileContent(text.encode(), "text/csv", text), ParseLimits())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a,b\n1,2\n", ["a | b", "1 | 2"]),
        ('Route;Fare\nNorvik;"12,50"\nSund;7\n', ["Route | Fare", "Norvik | 12,50", "Sund | 7"]),
        ("a\tb\n1,5\t2,5\n", ["a | b", "1,5 | 2,5"]),
        ("sep=|\na|b\n1|2\n", ["a | b", "1 | 2"]),
        ('a,b\n"two\nlines","a ""word"""\n', ["a | b", 'two lines | a "word"']),
        ("a,b\r\n1,x|y\r\n", ["a | b", "1 | x\\|y"]),
        ("a,b,c\n1,,\n,,3\n", ["a | b | c", "1 |  |", "|  | 3"]),
        ("a,b\n\n1,2\n\n\n3,4\n", ["a | b", "1 | 2", "3 | 4"]),
        ('a, b\n1, "x, y"\n', ["a | b", "1 | x, y"]),
        (
            "a;b\n1;2\n3;4\n5;x,y,z;6;7\n",
            ["a | b | column 3 | column 4", "1 | 2 |  |", "3 | 4 |  |", "5 | x,y,z | 6 | 7"],
        ),
        ('a,b\n"he said \\"hi\\", ok",2\n"x",3\n', ["a | b", 'he said "hi", ok | 2', "x | 3"]),
        ('a,b\n"C:\\new\\",2\n"D:\\",3\n', ["a | b", "C:\\new\\ | 2", "D:\\ | 3"]),
        ('a,b\n"never closed,2\n3,4', ["a | b", "never closed,2 3,4 |"]),
    ],
)
def test_rows_are_told_by_the_delimiter_that_fits(text: str, lines: list[str]) -> None:
    assert parse(text).text.split("\n") == lines


def test_a_quotation_mark_that_is_never_closed_swallows_no_table() -> None:
    rows = "".join(f"{n},x\n" for n in range(500))
    assert parse(f'a,b\n12,"disc\n{rows}').text.split("\n")[1:3] == ['12 | "disc', "0 | x"]


@pytest.mark.parametrize(("lines", "is_cell"), [(200, True), (201, False)])
def test_a_cell_of_more_lines_than_a_person_writes_is_none(lines: int, is_cell: bool) -> None:
    text = 'a,b\n1,"' + "x" + "\nx" * lines + '"\n2,y\n'
    assert ("2 | y" in parse(text).text, '"x' in parse(text).text) == (True, not is_cell)


def test_a_cell_is_as_long_as_it_is() -> None:
    assert len(parse(f"a,b\n1,{'x' * 150_000}\n").text) > 150_000


@pytest.mark.parametrize("text", ["\n \n", "sep=;\n", ""])
def test_a_table_of_nothing_is_unreadable(text: str) -> None:
    with pytest.raises(DocumentUnreadable):
        parse(text)


@pytest.mark.parametrize("text", ["only words here\nand there", "One, two.\nThree.\nFour.\nFive.", "word"])
def test_a_text_without_columns_stays_as_it_is(text: str) -> None:
    parsed = parse(text)
    assert parsed.text == text
    assert parsed.blocks == []


def test_each_piece_of_a_long_table_has_the_header() -> None:
    text = "id,model,price\n" + "".join(f"{n},K{n},{n * 7}\n" for n in range(300))
    chunks = split_into_chunks(parse(text), word_offsets, max_tokens=60)
    assert len(chunks) > 10
    assert all(chunk.whole.startswith("id | model | price\n") for chunk in chunks)


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("name,price\nK2,49\n", "name | price\n"),
        ("name,2024,2025\nK2,4,5\n", "name | 2024 | 2025\n"),
        ("K2,49\nK7,59\n", ""),
        ("3.4.2026,K2,1 €\n4.4.2026,K7,2 €\n", ""),
    ],
)
def test_a_first_row_of_values_is_no_header(text: str, head: str) -> None:
    parsed = parse(text)
    assert [parsed.text[block.start : block.head] for block in parsed.blocks] == [head]


CELLS = st.text(
    st.characters(codec="utf-8", categories=["L", "Nd", "P", "Sc"], exclude_characters="|\\"), min_size=1
).map(clean)


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ("price,price,price", "price | price (2) | price (3)"),
        ("price,price (2),price", "price | price (2) | price (3)"),
        (",price,tax,,", "| price | tax | column 4 | column 5"),
        ("model,,price,", "model | column 2 | price | column 4"),
        ("model,,column 2,x", "model | column 2 (2) | column 2 | x"),
        ("model,,,price", "model |  |  | price"),
    ],
)
def test_columns_of_one_name_or_none_are_told_apart(head: str, shown: str) -> None:
    row = ",".join("1" for _ in head.split(","))
    if shown == "model |  |  | price":  # an empty column is none
        row, shown = "1,,,1", "model | price"
    assert parse(f"{head}\n{row}\n{row}\n").text.split("\n")[0] == shown


@given(
    st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=2, max_size=6)),
    st.sampled_from(",;\t"),
)
def test_cells_come_back_from_the_text(table: list[list[str]], delimiter: str) -> None:
    buffer = io.StringIO()
    # By name, since cells of nothing but other delimiters would make one of them the better guess.
    buffer.write(f"sep={delimiter}\n")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(table)
    head, *rows = [line.split(" | ") for line in parse(buffer.getvalue()).text.split("\n")]
    assert rows == table[1:]
    assert head == table[0] or len(set(head)) == len(head), "columns of one name are numbered"


def test_a_long_cell_and_many_columns_of_one_name_are_read_in_time() -> None:
    row = ",".join(["a"] * 12_000)
    assert measure(lambda: parse(f"a,b\n{'word ' * 30_000},2\n")) < 1
    assert measure(lambda: parse(f"{row}\n{row}\n")) < 3


def test_a_cell_that_is_a_piece_of_a_page_is_read_as_one() -> None:
    parsed = parse(
        'Name,Body (HTML),Price\nK2,"<p>Boils <b>1 l</b></p><ul><li>safe</li></ul>",49\nK9,<p> is a tag,79\n'
    )
    assert parsed.text.split("\n") == [
        "Name | Body (HTML) | Price",
        "K2 | Boils 1 l - safe | 49",
        "K9 | <p> is a tag | 79",
    ]


def test_names_over_the_same_columns_stand_above_each_of_them() -> None:
    rows = "North,10,1000,12,1300\nSouth,7,700,9,950\n"
    heads = parse(f"Region,2025,,2026,\n,Units,Revenue,Units,Revenue\n{rows}").text.split("\n")[:2]
    assert heads == ["Region | 2025 | 2025 | 2026 | 2026", "| Units | Revenue | Units | Revenue"]
    others = parse(f"Region,2025,,2026,\n,Units,Revenue,Units,Note\n{rows}").text.split("\n")[:2]
    assert others == ["Region | 2025 |  | 2026 |", "| Units | Revenue | Units | Note"]
