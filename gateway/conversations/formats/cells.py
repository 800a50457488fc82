"""Cells that have a list of turns in them, as data sets that were saved as tables have."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from gateway.conversations.records import Record, as_dict, as_list

__all__ = ["has_structure", "is_blank", "read_structure"]

_LISTS = frozenset("messages conversations conversation items contents history completions".split())
_TEXTS = frozenset("input prompt completion chosen rejected preferred_output non_preferred_output".split())
"""Members that may be a text as well, which may be JSON itself: `[3, 1, 2]`, that a model is to sort."""
_NAMES = _LISTS | _TEXTS
_SPEAKERS = ("role", "from")


def read_structure(record: Mapping[str, Any]) -> Record:
    """Return a record whose cells of turns are lists.

    A CSV has them as JSON, or as Python writes them (pandas does), and Parquet also as a list per member: `{"role":
    [...], "content": [...]}`. A text that is none of them stays a text.
    """
    return {name: _read_cell(name, value) if name in _NAMES else value for name, value in record.items()}


def has_structure(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has turns in lists."""
    return any(isinstance(record.get(name), list | dict) for name in _NAMES)


def is_blank(cells: Iterable[Any]) -> bool:
    """Tell whether nothing is written in a row, such as those that spreadsheets leave below a table."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _read_cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        content = _parse(value)
        return content if name in _LISTS or _has_speakers(content) else value
    if isinstance(value, dict):
        columns = cast("Record", value)
        lists = [cast("list[Any]", one) for one in columns.values() if isinstance(one, list)]
        if lists and len(lists) == len(columns) and len({*map(len, lists)}) == 1:
            return [dict(zip(columns, turn, strict=True)) for turn in zip(*lists, strict=True)]
    return cast("object", value)


def _has_speakers(value: Any) -> bool:
    """Tell whether a value is a list of turns, or has one as OpenAI's `input` has."""
    if isinstance(value, dict):
        return _has_speakers(cast("Record", value).get("messages"))
    turns = as_list(value)
    return bool(turns) and all(any(name in as_dict(turn) for name in _SPEAKERS) for turn in turns)


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
