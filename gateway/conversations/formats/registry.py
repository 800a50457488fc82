"""The formats, each with the sign by which it is told from the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

import msgspec

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.formats.cells import has_structure, is_blank, read_structure
from gateway.conversations.formats.columns import (
    find_doubles,
    has_columns,
    load_csv,
    load_parquet,
    read_json,
    read_table,
)
from gateway.conversations.formats.completions import read_completions
from gateway.conversations.formats.freshdesk import read_freshdesk
from gateway.conversations.formats.gemini import read_gemini
from gateway.conversations.formats.instructions import read_alpaca, read_sharegpt
from gateway.conversations.formats.intercom import read_intercom
from gateway.conversations.formats.openai import read_chats, read_preferences
from gateway.conversations.formats.preferences import read_chosen
from gateway.conversations.formats.zendesk import read_zendesk
from gateway.conversations.records import (
    ROW_LISTS,
    Record,
    as_dict,
    as_list,
    as_text,
    decode_older,
    decode_text,
    is_object,
    iterate_records,
)
from training.dataset import Problem

__all__ = ["FORMATS", "ConversationFormat", "find_format", "read_conversations"]

_PARQUET = b"PAR1"
_LISTS = ("tickets", "results", "requests", "conversations", *ROW_LISTS)
_OPENAI_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_SWITCHES = {"train", "loss", "train_detail", "training_detail"}
_TURNS = ("conversations", "conversation", "items")
_OPENAI_MEMBERS = {"messages", "tools", "functions", "parallel_tool_calls", "metadata", "braid"}
_ROWS_OF_TEXTS = ("alpaca", "preferences", "completions")
_LOOKED_AT = 20
_HEAD_LINES = 200
_RAW_TEXT = (
    "Its rows are texts, and nothing says which part of a text is a reply. A style is learnt from replies: "
    'give each as {"prompt": "…", "completion": "…"}, or as messages. Texts to be looked up are documents: '
    "'braid docs add'."
)


@dataclass(frozen=True, slots=True)
class ConversationFormat:
    """A format in which files have conversations.

    Attributes:
        read: Takes the file's bytes and the map of columns.
        recognise: Tells a record of it from others'; None for CSV and Parquet, which are told by their bytes.
        has_columns: Tells whether a map says which column is which.
    """

    label: str
    read: Callable[[bytes, Mapping[str, str]], Import]
    recognise: Callable[[Record], bool] | None = None
    has_columns: bool = False


def _reads_text(read: Callable[[str], Import]) -> Callable[[bytes, Mapping[str, str]], Import]:
    return lambda data, _columns: read(decode_text(data))


def _has_turns(record: Record) -> bool:
    """Tell whether a record has turns as ShareGPT has them, or messages as OpenAI hasn't.

    Beside the latter stands a system text (Amazon's, Anthropic's) or what a data set says of them, their roles are
    others (Cohere's), or they say which of them are learnt (Axolotl's).
    """
    turns = next(filter(None, (as_list(record.get(name)) for name in _TURNS)), list[Any]())
    first = as_dict(turns[0]).keys() if turns else set[str]()
    roles = {as_text(as_dict(one).get("role")) for one in as_list(record.get("messages"))} - _OPENAI_ROLES
    others = {role for role in roles if role.lower() in _OPENAI_ROLES or role == "Chatbot"}
    others_beside = (value for name, value in record.items() if name not in _OPENAI_MEMBERS)
    beside = "messages" in record and any(value not in (None, "", []) for value in others_beside)
    switched = any(not _SWITCHES.isdisjoint(as_dict(one)) for one in as_list(record.get("messages")))
    return {"from", "value"} <= first or {"role", "content"} <= first or bool(others) or beside or switched


def _has_incoming(record: Record) -> bool:
    return any("incoming" in as_dict(one) for one in as_list(record.get("conversations")))


FORMATS: Mapping[str, ConversationFormat] = {
    "openai-preferences": ConversationFormat(
        "OpenAI's preference rows (DPO)",
        _reads_text(read_preferences),
        lambda record: "preferred_output" in record or "non_preferred_output" in record,
    ),
    "preferences": ConversationFormat(
        "rows of a chosen and a rejected reply (TRL)", _reads_text(read_chosen), {"chosen", "rejected"}.issubset
    ),
    "sharegpt": ConversationFormat("ShareGPT", _reads_text(read_sharegpt), _has_turns),
    "openai": ConversationFormat("OpenAI's chat rows", _reads_text(read_chats), lambda record: "messages" in record),
    "completions": ConversationFormat(
        "prompts with completions (OpenAI's older rows, TRL)",
        _reads_text(read_completions),
        {"prompt", "completion"}.issubset,
    ),
    "gemini": ConversationFormat(
        "Gemini's rows", _reads_text(read_gemini), lambda record: isinstance(record.get("contents"), list)
    ),
    "alpaca": ConversationFormat(
        "Alpaca",
        _reads_text(read_alpaca),
        lambda record: "instruction" in record and not record.keys().isdisjoint(("output", "response")),
    ),
    "intercom": ConversationFormat(
        "Intercom's conversations",
        _reads_text(read_intercom),
        lambda record: (
            not record.keys().isdisjoint(("conversation_parts", "conversation_message"))
            or (record.get("type") == "conversation" and isinstance(record.get("source"), dict))
        ),
    ),
    "freshdesk": ConversationFormat(
        "Freshdesk's tickets",
        _reads_text(read_freshdesk),
        lambda record: "helpdesk_ticket" in record or "description_text" in record or _has_incoming(record),
    ),
    "zendesk": ConversationFormat(
        "Zendesk's tickets",
        _reads_text(read_zendesk),
        lambda record: (
            isinstance(record.get("comments"), list)
            or isinstance(record.get("ticket"), dict)
            or {"requester_id", "via"} <= record.keys()
        ),
    ),
    "json": ConversationFormat(
        "JSON with a column map",
        lambda data, columns: read_json(decode_text(data), columns),
        has_columns,
        has_columns=True,
    ),
    "csv": ConversationFormat(
        "a CSV with a column map", lambda data, columns: _read_csv(decode_text(data), columns), has_columns=True
    ),
    "parquet": ConversationFormat(
        "a Parquet file with a column map", lambda data, columns: _read_parquet(data, columns), has_columns=True
    ),
}
"""The formats by name, in the order in which they are tried."""


def _read_parquet(data: bytes, columns: Mapping[str, str]) -> Import:
    """Read a table of columns, or one whose rows are records of another format, as published data sets are."""
    rows = [*map(read_structure, load_parquet(data))]
    recognised = next((name for row in rows[:_LOOKED_AT] if (name := _recognise(row))), None)
    if columns or recognised is None or FORMATS[recognised].has_columns:
        return read_table(list(enumerate(rows, 1)), columns)
    return FORMATS[recognised].read(msgspec.json.encode(_drop_nulls(rows)), {})


def _drop_nulls(value: Any) -> Any:
    """Leave out what a row leaves empty: a column that other rows have, null in it and not there in its source."""
    if isinstance(value, list):
        return [_drop_nulls(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _drop_nulls(one) for name, one in cast("Record", value).items() if one is not None}
    return value


def _read_csv(text: str, columns: Mapping[str, str]) -> Import:
    """Read a table of columns, or one that has the members of another format's rows, such as Alpaca's or lists."""
    rows, problems = load_csv(text)
    blank = {number for number, row in enumerate(rows, 1) if is_blank(row.values())}
    records = [read_structure({name.strip().casefold(): cell for name, cell in row.items()}) for row in rows]
    some = [record for record in records[:_LOOKED_AT] if not is_blank(record.values())]
    recognised = next((name for record in some if (name := _recognise(record))), None)
    is_of_lists = any(map(has_structure, some)) and recognised is not None and not FORMATS[recognised].has_columns
    if columns or not (is_of_lists or recognised in _ROWS_OF_TEXTS):
        return read_table(
            [(number, row) for number, row in enumerate(rows, 1) if number not in blank], columns, problems
        )
    assert recognised is not None
    if doubles := find_doubles(dict.fromkeys(name for row in rows for name in row)):
        raise UnusableFile(f"The columns {', '.join(map(repr, doubles))} have one name. Call one otherwise.")
    faults = {problem.row: problem for problem in problems}
    records = [{} if number in faults else record for number, record in enumerate(records, 1)]
    if is_of_lists:
        records = [{name: cell for name, cell in record.items() if cell != ""} for record in records]
    content = FORMATS[recognised].read(msgspec.json.encode(records), {})
    faults = {problem.row: problem for problem in content.problems if problem.row not in blank} | faults
    return Import(content.conversations, [faults[row] for row in sorted(faults)], content.omitted)


def _recognise(record: Record) -> str | None:
    return next((name for name, one in FORMATS.items() if one.recognise is not None and one.recognise(record)), None)


def find_format(data: bytes) -> str:
    """Return the name of a file's format, by what its first records have.

    Raises:
        UnusableFile: It has none that is known, or isn't UTF-8.
    """
    if data.startswith(_PARQUET):
        return "parquet"
    text = decode_text(data)
    if not text.strip():
        raise UnusableFile("The file is empty.")
    head = _cut_head(text)
    problems: list[Problem] = []
    records = list(islice(iterate_records(head, _LISTS, problems), _LOOKED_AT))
    # A file of one record may have a list under such a name itself: `{"conversations": [turns]}`.
    whole = list(islice(iterate_records(head, (), []), 1)) if head.lstrip().startswith("{") else []
    for _, record in (*records, *whole):
        if name := _recognise(record):
            return name
    if any(isinstance(record.get("text"), str) for _, record in records):
        raise UnusableFile(_RAW_TEXT)
    header = text.lstrip().split("\n", 1)[0]
    if not records and not header.startswith(("{", "[")) and any(mark in header for mark in ",;\t"):
        return "csv"
    if problems and not records and header.startswith(("{", "[")):
        first = problems[0]
        raise UnusableFile(f"No record of the file can be read. Row {first.row}: {first.message}")
    labels = ", ".join(f"{name} ({format.label})" for name, format in FORMATS.items())
    names = ", ".join(list(dict.fromkeys(name for _, record in records for name in record))[:_LOOKED_AT])
    has = f" Its records have {names}." if names else ""
    raise UnusableFile(f"The file's format isn't known.{has} Name one of these with --format: {labels}.")


def _cut_head(text: str) -> str:
    """Return the first lines of JSONL, which suffice to tell its format; of anything else all."""
    lines: list[str] = []
    start = 0
    while start < len(text) and len(lines) < _HEAD_LINES:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        lines.append(text[start:end])
        start = end + 1
    return "\n".join(lines) if any(map(is_object, lines[:_LOOKED_AT])) else text


def read_conversations(
    data: bytes, format: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[str, Import]:
    """Read a file, and return its format's name with its content.

    Args:
        data: The file's bytes.
        format: A name in `FORMATS`; None finds it.
        columns: For tables: the column of each of `formats.columns.COLUMNS`; those left out are found by their headers.
            JSON that is given some is a table.

    Raises:
        UnusableFile: The file, the format or the columns can't be used.
    """
    encoding = ""
    if not data.startswith(_PARQUET):
        data, encoding = decode_older(data)
    name = format or (
        "json" if columns and data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[") else find_format(data)
    )
    if name not in FORMATS:
        raise UnusableFile(f"There is no format {name!r}. There are {', '.join(FORMATS)}.")
    if columns and not FORMATS[name].has_columns:
        raise UnusableFile(f"A column map is for CSV, JSON and Parquet, and the file is {FORMATS[name].label}.")
    content = FORMATS[name].read(data, columns or {})
    return name, replace(content, encoding=encoding) if encoding else content
