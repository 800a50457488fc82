"""Tables: CSV and Parquet, by a map from what a conversation has to columns."""

import csv
import importlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.formats.table_rows import join_rows, pair_rows

__all__ = ["COLUMNS", "read_csv", "read_parquet"]

COLUMNS: Mapping[str, Sequence[str]] = {
    "question": ("question", "prompt", "instruction", "input", "user", "customer", "query"),
    "reply": ("reply", "answer", "response", "output", "completion", "assistant", "agent"),
    "system": ("system", "system_prompt"),
    "conversation": ("conversation", "conversation_id", "thread_id", "ticket_id", "id"),
    "role": ("role", "author", "from", "sender"),
    "text": ("text", "message", "body", "content"),
}
"""The names that a column map may have, each with the headers that are taken for it without a map."""

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
    return _read(rows, columns)


def read_parquet(data: bytes, columns: Mapping[str, str]) -> Import:
    """Read a Parquet file by pyarrow.

    Raises:
        UnusableFile: pyarrow isn't there, the file is none, or columns are missing.
    """
    parquet = _load_pyarrow()
    try:
        rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        raise UnusableFile(f"The file can't be read as Parquet: {error}.") from None
    return _read(rows, columns)


def _load_pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UnusableFile(_PARQUET) from None


def _read(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Import:
    names = list(rows[0]) if rows else []
    for meaning, column in columns.items():
        if meaning not in COLUMNS:
            raise UnusableFile(f"A column can't be {meaning!r}, only {', '.join(COLUMNS)}. {_ADVICE}")
        if column not in names:
            raise UnusableFile(f"There is no column {column!r}. The file has {', '.join(map(str, names)) or 'none'}.")
    mapping = {**_guess(names), **columns}
    numbered = list(_number(rows, mapping))
    if "question" in mapping and "reply" in mapping:
        return pair_rows(numbered)
    if {"conversation", "role", "text"} <= mapping.keys():
        return join_rows(numbered)
    raise UnusableFile(f"It isn't clear what the columns {', '.join(map(str, names)) or '(none)'} are. {_ADVICE}")


def _guess(names: Iterable[str]) -> dict[str, str]:
    by_word = {str(name).strip().casefold().replace(" ", "_"): name for name in names}
    matches = {meaning: [by_word[word] for word in words if word in by_word] for meaning, words in COLUMNS.items()}
    return {meaning: columns[0] for meaning, columns in matches.items() if columns}


def _number(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, row in enumerate(rows, 1):
        values = {meaning: row.get(column) for meaning, column in columns.items()}
        yield number, {meaning: "" if value is None else str(value) for meaning, value in values.items()}
