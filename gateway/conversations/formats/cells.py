"""Cells that have a list of turns in them, as data sets that were saved as tables have."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from gateway.conversations.records import Record

__all__ = ["has_structure", "is_blank", "read_structure"]

_NAMES = frozenset(
    "messages conversations conversation items contents history input prompt completion completions chosen rejected "
    "preferred_output non_preferred_output".split()
)


def read_structure(record: Mapping[str, Any]) -> Record:
    """Return a record whose cells of turns are lists.

    A CSV has them as JSON, or as Python writes them (pandas does), and Parquet also as a list per member: `{"role":
    [...], "content": [...]}`. A text that is none of them stays a text.
    """
    return {name: _read_cell(value) if name in _NAMES else value for name, value in record.items()}


def has_structure(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has turns in lists."""
    return any(isinstance(record.get(name), list | dict) for name in _NAMES)


def is_blank(cells: Iterable[Any]) -> bool:
    """Tell whether nothing is written in a row, such as those that spreadsheets leave below a table."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _read_cell(value: Any) -> Any:
    if isinstance(value, str):
        return _parse(value)
    if isinstance(value, dict):
        columns = cast("Record", value)
        lists = [cast("list[Any]", one) for one in columns.values() if isinstance(one, list)]
        if lists and len(lists) == len(columns) and len({*map(len, lists)}) == 1:
            return [dict(zip(columns, turn, strict=True)) for turn in zip(*lists, strict=True)]
    return cast("object", value)


def _parse(text: str) -> Any:
    bare = text.strip()
    if bare[:1] not in ("[", "{") or bare[-1:] not in ("]", "}"):
        return text
    try:
        return msgspec.json.decode(bare)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        # An array of numpy's has no commas between its items, and no line ends inside its texts.
        return ast.literal_eval(bare.replace("}\n {", "}, {"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
