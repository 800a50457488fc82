"""OpenAI's two formats of rows: chats, and preferences (DPO); what is sound here is so at an upload."""

from collections.abc import Iterable, Iterator

import msgspec

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.records import ROW_LISTS, Record, as_dict, as_text, iterate_records
from training.dataset import Problem, read_rows
from training.preference_rows import read_preference_rows

__all__ = ["read_chats", "read_preferences"]

_THREAD_KEYS = ("conversation_id", "thread_id", "id")
"""The members of `metadata`, which OpenAI's own rows may have, in which rows of one thread may say so."""


def read_chats(text: str) -> Import:
    """Read rows of messages, by the same rules as an upload of them; a list is one too."""
    problems: list[Problem] = []
    conversations: list[Conversation] = []
    for number, record in iterate_records(text, ROW_LISTS, problems):
        rows, faults = read_rows(msgspec.json.encode(record))
        problems += [Problem(number, fault.message) for fault in faults]
        conversations += [
            Conversation(number, row.messages, _find_thread(record), row.passages, written_by=row.written_by)
            for row in rows
        ]
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), {})


def read_preferences(text: str) -> Import:
    """Read rows of an input, a better and a worse reply, by the same rules as an upload of them; a list is one too."""
    problems: list[Problem] = []
    conversations: list[Conversation] = []
    for number, record in iterate_records(text, ROW_LISTS, problems):
        rows, faults = read_preference_rows(msgspec.json.encode(record))
        problems += [Problem(number, fault.message) for fault in faults]
        conversations += [
            Conversation(
                *(number, row.better.messages, _find_thread(record), row.passages, row.worse.messages[-1].text),
                row.written_by,
            )
            for row in rows
        ]
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), {})


def _find_thread(record: Record) -> str:
    metadata = as_dict(record.get("metadata"))
    return next(_texts(metadata, _THREAD_KEYS), "")


def _texts(fields: Record, names: Iterable[str]) -> Iterator[str]:
    return (text for name in names if (text := as_text(fields.get(name))))
