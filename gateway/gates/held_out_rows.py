"""Rows that no adapter has learnt: questions with the replies that their tenant would have liked to give.

A file of preferences is one of rows, too, each with its better reply: the validation file of a job with the method dpo.
"""

from collections.abc import Sequence

import msgspec

from gateway.answering.question import Message
from training.dataset import Row, RowPassage, describe_problems, read_rows
from training.preference_rows import has_preferences, read_preference_rows

__all__ = ["HeldOutRow", "LearntReply", "RowsUnfit", "list_learnt_replies", "read_held_out_rows"]

_MOST_DESCRIBED = 10


class RowsUnfit(Exception):
    """A file isn't one of rows; the text says which lines are at fault."""


class HeldOutRow(msgspec.Struct, frozen=True):
    """A row that wasn't learnt, whose reply is known.

    Attributes:
        number: Its line in the file, from 1.
        messages: All but the last reply.
        passages: The row's own; None where it says nothing of any.
    """

    number: int
    messages: list[Message]
    reply: str
    passages: list[RowPassage] | None

    @property
    def question(self) -> str:
        """The last user message."""
        return next((message.content or "" for message in reversed(self.messages) if message.role == "user"), "")


class LearntReply(msgspec.Struct, frozen=True):
    """A reply of the training rows, and the conversation before it."""

    messages: list[Message]
    reply: str


def read_held_out_rows(data: bytes) -> list[HeldOutRow]:
    """Read the rows that end with a reply to a user.

    Raises:
        RowsUnfit: A row can't be read.
    """
    return [
        HeldOutRow(row.number, turns, row.messages[-1].text, row.passages)
        for row in _read(data)
        if row.messages[-1].is_target and (turns := _to_messages(row, len(row.messages) - 1))[-1].role == "user"
    ]


def list_learnt_replies(data: bytes) -> list[LearntReply]:
    """List every reply that training rows teach.

    Raises:
        RowsUnfit: A row can't be read.
    """
    return [
        LearntReply(_to_messages(row, at), message.text)
        for row in _read(data)
        for at, message in enumerate(row.messages)
        if message.is_target and at
    ]


def _read(data: bytes) -> Sequence[Row]:
    """Read rows; of preferences each with its better reply, which is what the tenant would have liked."""
    if has_preferences(data):
        preferences, problems = read_preference_rows(data)
        rows = [preference.better for preference in preferences]
    else:
        rows, problems = read_rows(data)
    if problems:
        raise RowsUnfit(describe_problems(problems, _MOST_DESCRIBED))
    return rows


def _to_messages(row: Row, end: int) -> list[Message]:
    return [
        Message("system" if message.role == "developer" else message.role, message.text)
        for message in row.messages[:end]
    ]
