import pytest

from retrieval.parsers.sheet import add_sheet
from retrieval.parsers.text_writer import TextWriter
from tests.processor_time import measure


def read_tables(*rows: str) -> list[str]:
    """Read a sheet, a row per text with `|` between its cells; return its tables and titles with `/` between rows."""
    writer = TextWriter()
    add_sheet(writer, [[cell.strip() for cell in row.split("|")] for row in rows])
    return writer.finish("text/csv").text.replace("\n\n", "§").replace("\n", " / ").split("§")


@pytest.mark.parametrize(
    ("rows", "tables"),
    [
        (
            ["Kettle|Price||Region|Manager", "K2|49||North|Ann", "K9|79||South|Ben", "K10|80", "K11|90"],
            [
                "Kettle | Price / K2 | 49 / K9 | 79 / K10 | 80 / K11 | 90",
                "Region | Manager / North | Ann / South | Ben",
            ],
        ),
        (
            ["Kettle|Price||Kettle|Price", "K2|49||K3|59", "K9|79||K8|69"],
            ["Kettle | Price / K2 | 49 / K9 | 79", "Kettle | Price / K3 | 59 / K8 | 69"],
        ),
        (
            ["Prices|||Regions|", "Kettle|Price||Region|Manager", "K2|49||North|Ann"],
            ["Prices", "Kettle | Price / K2 | 49", "Regions", "Region | Manager / North | Ann"],
        ),
        (
            ["Kettle|Price|||", "K2|49||Region|Manager", "K9|79||North|Ann"],
            ["Kettle | Price / K2 | 49 / K9 | 79", "Region | Manager / North | Ann"],
        ),
        (
            ["All of 2026", "Lid|Fits||Lid|Fits", "L1|K2||L2|K9", "|||L3|K9", "Screw|Size||L4|K9", "S1|M3||L5|K9"],
            [
                "All of 2026",
                "Lid | Fits / L1 | K2",
                "Screw | Size / S1 | M3",
                "Lid | Fits / L2 | K9 / L3 | K9 / L4 | K9 / L5 | K9",
            ],
        ),
    ],
)
def test_tables_beside_each_other_come_one_after_the_other(rows: list[str], tables: list[str]) -> None:
    assert read_tables(*rows) == tables


@pytest.mark.parametrize(
    "rows",
    [
        ["Plan|Price||Users|Storage", "Basic|5||3|10 GB", "Pro|9||9|99 GB", "Max|19||", "Old|2||"],
        ["Plan|||Limits|", "Plan|Price||Users|Storage", "Basic|5||3|10 GB"],
        ["Name|Unit||City|Manager", "Ann|Sales||Sund|Eva", "Ben|Shop||Bay|Ida", "All|2||"],
        ["Name|Unit||City|Manager", "Ann|Sales||Sund|Eva", "Ben|Shop||Sund|Ida", "Cem|Shop||", "Dan|Shop||"],
        ["Name|Unit||City", "Ann|Sales||Sund", "Ben|Shop||Bay", "Cem|Shop||", "Dan|Shop||"],
    ],
)
def test_an_empty_column_in_a_table_parts_none_of_its_rows(rows: list[str]) -> None:
    (table,) = read_tables(*rows)
    first = next(row for row in rows if row.count("|") > 1 and "||" in row and not row.endswith("|"))
    assert " | ".join(cell for cell in first.split("|") if cell) in table


def test_the_same_names_twice_under_the_names_of_rows_are_one_table() -> None:
    assert read_tables("|Units|Price||Units|Price", "K2|1|49||3|59", "K9|5|79||7|69") == [
        "| Units | Price | Units (2) | Price (2) / K2 | 1 | 49 | 3 | 59 / K9 | 5 | 79 | 7 | 69"
    ]


def test_many_columns_with_gaps_between_them_are_read_in_time() -> None:
    names, cells = (["Lid", "Fits", ""] * 1500, ["L1", "K2", ""] * 1500)
    assert measure(lambda: add_sheet(TextWriter(), [names, cells, cells])) < 1
