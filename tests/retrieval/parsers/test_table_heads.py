import pytest

from retrieval.parsers.table_heads import count_heads, widen_names
from retrieval.parsers.table_rows import COVERED_CELL

DATA = ["Wool", "89.90", "62.93"]


@pytest.mark.parametrize(
    ("head", "count"),
    [
        ([["Article", "Retail", "Trade"]], 1),
        ([["Article", "Price", COVERED_CELL], ["Article", "Retail", "Trade"]], 2),
        ([["Article", "Price", ""], ["", "Retail", "Trade"]], 2),
        ([["", "2025", ""], ["Item", "Retail", "Trade"]], 0),
        ([["", "2025", "", "2026"], ["Item", "Retail", "Trade", "Retail"]], 2),
        ([["", "2025", COVERED_CELL], ["Item", "Q1", "Q2"]], 2),
        ([["Prices", COVERED_CELL, COVERED_CELL], ["Article", "Retail", "Trade"]], 2),
        (
            [
                ["", "Price", COVERED_CELL, COVERED_CELL],
                ["", "Shop", COVERED_CELL, "Web"],
                ["Article", "Retail", "Trade", "Net"],
            ],
            3,
        ),
        ([["Plan", "Limits", COVERED_CELL], ["Name", "Requests", "Tokens"]], 2),
        (
            [
                ["Prices", COVERED_CELL, COVERED_CELL],
                ["From May", COVERED_CELL, COVERED_CELL],
                ["Article", "Retail", "Trade"],
            ],
            3,
        ),
        (
            [
                ["Prices", COVERED_CELL, COVERED_CELL],
                ["Article", "Price", COVERED_CELL],
                ["Article", "Retail", "Trade"],
            ],
            3,
        ),
        ([["Prices", COVERED_CELL, COVERED_CELL], ["Wool", "12", "13"]], 0),
    ],
)
def test_rows_of_names_belong_to_the_head_where_those_above_leave_columns_open(
    head: list[list[str]], count: int
) -> None:
    assert count_heads([*head, DATA, DATA]) == count


@pytest.mark.parametrize(
    "rows",
    [
        [["Route", "", "To"], ["Ferry", "by sea", "Norvik"], ["Bus", "by land", "Stad"], ["Car", "alone", "Stad"]],
        [["Name", "Role", "Phone"], ["Ida", "", "none"], ["Per", "cook", "none"]],
        [["Site", "Shift"], ["Bergen", "Early"], ["Bergen", "Late"]],
        [["Site", "Contact", COVERED_CELL], ["Bergen", "Ida", "none"], ["Bergen", "Per", "none"], ["Oslo", "Bo", "12"]],
    ],
)
def test_a_row_of_words_below_a_head_is_data(rows: list[list[str]]) -> None:
    assert count_heads(rows) == 1


def test_a_table_has_a_row_below_its_head() -> None:
    assert count_heads([["Article", "Price", COVERED_CELL], ["Article", "Retail", "Trade"]]) == 1
    assert count_heads([["Article", "Price"]]) == 1
    assert count_heads([DATA, DATA]) == 0
    assert count_heads([]) == 0


def test_a_name_over_several_columns_stands_above_each_of_them_and_a_title_once() -> None:
    rows = [
        ["Prices", COVERED_CELL, COVERED_CELL],
        ["Article", "Price", COVERED_CELL],
        ["see below", COVERED_CELL, "62.93"],
    ]
    assert widen_names(rows, 2) == [rows[0], ["Article", "Price", "Price"], rows[2]]
    assert widen_names([["Article", "Price", ""]], 1) == [["Article", "Price", ""]]


def test_a_long_name_over_many_columns_stands_once() -> None:
    row = ["Article", "Price without the tax " * 5, *[COVERED_CELL] * 99]
    assert widen_names([row], 1) == [row]
