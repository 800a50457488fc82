"""Tables: CSV, Parquet, and JSON whose records are rows, by a map from what a conversation has to columns."""

import csv
import importlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.formats.table_rows import join_rows, pair_rows
from gateway.conversations.records import ROW_LISTS, Record, as_text, read_records
from training.dataset import Problem

__all__ = ["COLUMNS", "has_columns", "load_parquet", "read_csv", "read_json", "read_table"]

COLUMNS: Mapping[str, Sequence[str]] = {
    "question": ("question", "prompt", "instruction", "input", "user", "customer", "query", "input_text", "text_input"),
    "reply": ("reply", "answer", "response", "output", "completion", "assistant", "agent", "output_text"),
    "system": ("system", "system_prompt"),
    "conversation": ("conversation", "conversation_id", "thread_id", "ticket_id", "id"),
    "role": ("role", "author", "from", "sender"),
    "text": ("text", "message", "body", "content"),
}
"""The names that a column map may have, each with the headers that are taken for it without a map."""

_SHAPES: Sequence[frozenset[str]] = (frozenset({"question", "reply"}), frozenset({"conversation", "role", "text"}))
"""What a row per pair has, and a row per message."""
_TEXTS = frozenset({"question", "reply", "role", "text"})

_ADVICE = (
    "Say which column is which, such as --map question=Subject --map reply=Answer for a row per pair, or --map "
    "conversation=Ticket --map role=Author --map text=Body for a row per message."
)
_LINE_END = re.compile(r"\r\n?")
_NAMED = re.compile(r"sep=(.)\n", re.I)
"""A first line by which Excel tells the delimiter."""
_FIELD_BYTES = 16 * 1024 * 1024
_PARQUET = (
    "Parquet files are read by pyarrow, which isn't installed here: it is larger than all that the gateway needs. "
    "Install it beside Braid ('uv pip install pyarrow'), or save the table as CSV."
)


def read_csv(text: str, columns: Mapping[str, str]) -> Import:
    """Read a table with a header; commas, semicolons or tabs are told by it.

    Raises:
        UnusableFile: Columns are missing, or the file is no CSV.
    """
    text = _LINE_END.sub("\n", text).lstrip("\n")
    name_match = _NAMED.match(text)
    text = text[name_match.end() :] if name_match else text
    header = text.split("\n", 1)[0]
    delimiter = name_match[1] if name_match else max(",;\t", key=header.count)
    csv.field_size_limit(_FIELD_BYTES)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UnusableFile(
            f"The file is no CSV: {error}. Save it with quotes around fields that have several lines."
        ) from None
    return read_table(list(enumerate(rows, 1)), columns)


def read_json(text: str, columns: Mapping[str, str]) -> Import:
    """Read records as rows of a table: a pair each, or a message each.

    Raises:
        UnusableFile: Columns are missing.
    """
    records, problems = read_records(text, ROW_LISTS)
    return read_table(records, columns, problems)


def has_columns(record: Record) -> bool:
    """Tell whether a record's members are those of a table's rows, by their names, and texts."""
    mapping = _guess(record)
    return any(
        needed <= mapping.keys() and all(isinstance(record[mapping[name]], str) for name in needed & _TEXTS)
        for needed in _SHAPES
    )


def load_parquet(data: bytes) -> list[Record]:
    """Return the rows of a Parquet file, by pyarrow.

    Raises:
        UnusableFile: pyarrow isn't there, or the file is none.
    """
    parquet = _load_pyarrow()
    try:
        return parquet.read_table(io.BytesIO(data)).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        raise UnusableFile(f"The file can't be read as Parquet: {error}.") from None


def _load_pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UnusableFile(_PARQUET) from None


def read_table(
    rows: Sequence[tuple[int, Mapping[str, Any]]], columns: Mapping[str, str], problems: Sequence[Problem] = ()
) -> Import:
    """Make conversations of numbered rows, with the problems of those that are none.

    Raises:
        UnusableFile: Columns are missing, or are not those of a table.
    """
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    for meaning, column in columns.items():
        if meaning not in COLUMNS:
            raise UnusableFile(f"A column can't be {meaning!r}, only {', '.join(COLUMNS)}. {_ADVICE}")
        if column not in names:
            raise UnusableFile(f"There is no column {column!r}. The file has {', '.join(map(str, names)) or 'none'}.")
    mapping = {**_guess(names), **columns}
    for needed, read in zip(_SHAPES, (pair_rows, join_rows), strict=True):
        if needed <= mapping.keys():
            content = read([(number, _choose(row, mapping)) for number, row in rows])
            faults = sorted([*problems, *content.problems], key=lambda problem: problem.row)
            return Import(content.conversations, faults, content.omitted)
    raise UnusableFile(f"It isn't clear what the columns {', '.join(map(str, names)) or '(none)'} are. {_ADVICE}")


def _guess(names: Iterable[str]) -> dict[str, str]:
    by_word = {str(name).strip().casefold().replace(" ", "_"): name for name in names}
    matches = {meaning: [by_word[word] for word in words if word in by_word] for meaning, words in COLUMNS.items()}
    return {meaning: columns[0] for meaning, columns in matches.items() if columns}


def _choose(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    values = {meaning: row.get(column) for meaning, column in columns.items()}
    return {meaning: as_text(value) for meaning, value in values.items()}
