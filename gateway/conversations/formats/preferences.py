"""Rows of a chosen and a rejected reply, as TRL and other trainers of preferences have them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.turns import (
    UnusableRecord,
    add_system,
    read_each,
    read_history,
    read_text,
    read_thread,
    read_turns,
)
from gateway.conversations.records import Record
from training.dataset import Message
from training.preference_rows import read_preference_rows

__all__ = ["read_chosen", "read_pair"]

_TURNS = ("messages", "conversations")
_QUESTIONS = ("prompt", "question", "instruction", "input")
"""The members with the turns before the replies: as a list, or as texts that make one question."""
_NO_PROMPT = (
    "Its `chosen` and `rejected` don't say which part of them is the prompt. Give what both replies answer as `prompt`."
)
_NAMES = (("non_preferred_output", "rejected"), ("preferred_output", "chosen"), ("Its input", "Its prompt"))


def read_chosen(text: str) -> Import:
    """Read `chosen` and `rejected`: replies to a `prompt`, or whole conversations that differ in their last turn."""
    return read_each(text, _read_record)


def _read_record(number: int, record: Record) -> Conversation:
    better, worse = (read_turns(record.get(name), "assistant") for name in ("chosen", "rejected"))
    # Of whole conversations what both begin with is the prompt, up to the turn before their ends.
    ends = zip(better[:-1], worse[:-1], strict=False)
    shared = next((index for index, (one, other) in enumerate(ends) if one != other), min(len(better), len(worse)) - 1)
    before = better[: max(0, shared)]
    whole = [*better, *worse] if before else []  # a data set may have a whole conversation as `messages`, too
    context = [message for message in _read_context(record) if message not in whole] + before
    if not context:
        raise UnusableRecord(_NO_PROMPT)
    return read_pair(number, read_thread(record), context, better[len(before) :], worse[len(before) :])


def _read_context(record: Record) -> list[Message]:
    turns = next((record[name] for name in _TURNS if record.get(name)), None)
    if turns is None and isinstance(record.get("prompt"), list):
        turns = record["prompt"]
    if turns is None:
        turns = "\n\n".join(filter(None, (read_text(record, name) for name in _QUESTIONS)))
    return add_system(record, [*read_history(record), *read_turns(turns, "user")], "system", "system_prompt")


def read_pair(
    number: int, id: str, context: Sequence[Message], better: Sequence[Message], worse: Sequence[Message]
) -> Conversation:
    """Return a preference as a conversation, by the same rules as an upload of it in OpenAI's form.

    Raises:
        UnusableRecord: With what these rules say, in the words of this format.
    """
    row = {
        "input": {"messages": _encode(context)},
        "preferred_output": _encode(better),
        "non_preferred_output": _encode(worse),
    }
    rows, problems = read_preference_rows(msgspec.json.encode(row))
    for problem in problems:
        message = problem.message
        for name, word in _NAMES:
            message = message.replace(name, word)
        raise UnusableRecord(message)
    return Conversation(number, rows[0].better.messages, id, None, rows[0].worse.messages[-1].text)


def _encode(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": message.role, "content": message.content} for message in messages]
