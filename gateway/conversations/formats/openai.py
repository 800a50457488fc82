"""OpenAI's two formats of rows: chats, and preferences (DPO)."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, read_records
from training.dataset import Problem, Row, read_rows

__all__ = ["read_chats", "read_preferences"]

_THREAD_KEYS = ("conversation_id", "thread_id", "id")
"""Where rows of one thread may say so in `metadata`, which OpenAI's own rows may have."""


def read_chats(text: str) -> Import:
    """Read rows of messages, by the same rules as an upload of them."""
    data = text.encode()
    lines = data.split(b"\n")
    rows, problems = read_rows(b"\n".join(_without_metadata(line) for line in lines))
    threads = {row.number: _find_thread(lines[row.number - 1]) for row in rows}
    return Import([_to_conversation(row, threads[row.number]) for row in rows], problems, {})


def read_preferences(text: str) -> Import:
    """Read rows of an input, a better and a worse reply."""
    records, problems = read_records(text)
    conversations: list[Conversation] = []
    for number, record in records:
        rejected = _join_texts(as_list(record.get("non_preferred_output")))
        messages = [*as_list(as_dict(record.get("input")).get("messages")), *as_list(record.get("preferred_output"))]
        row = {"messages": messages} | ({"braid": record["braid"]} if "braid" in record else {})
        rows, faults = read_rows(msgspec.json.encode(row))
        if not rejected:
            problems.append(Problem(number, "It has no text in `non_preferred_output`, the worse reply."))
        elif faults:
            problems.append(Problem(number, faults[0].message))
        else:
            conversations.append(_to_conversation(rows[0], "", number, rejected))
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), {})


def _to_conversation(row: Row, thread: str, number: int | None = None, rejected: str | None = None) -> Conversation:
    return Conversation(number or row.number, row.messages, thread, row.passages, rejected)


def _join_texts(messages: Iterable[Any]) -> str:
    return "\n\n".join(text for message in messages if (text := as_text(as_dict(message).get("content"))).strip())


def _without_metadata(line: bytes) -> bytes:
    record = _decode(line)
    return line if record.pop("metadata", None) is None else msgspec.json.encode(record)


def _find_thread(line: bytes) -> str:
    metadata = as_dict(_decode(line).get("metadata"))
    return next(_texts(metadata, _THREAD_KEYS), "")


def _texts(fields: Record, names: Iterable[str]) -> Iterator[str]:
    return (text for name in names if (text := as_text(fields.get(name))))


def _decode(line: bytes) -> Record:
    if b'"metadata"' not in line:
        return {}
    try:
        return as_dict(msgspec.json.decode(line))
    except (msgspec.DecodeError, RecursionError):
        return {}
