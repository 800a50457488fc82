"""Alpaca's rows of instruction, input and output, and ShareGPT's lists of turns."""

from collections.abc import Callable, Iterable, Iterator

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.turns import (
    UnusableRecord,
    add_system,
    read_each,
    read_history,
    read_text,
    read_thread,
    read_turns,
    trim_turns,
)
from gateway.conversations.records import Record, as_list
from training.dataset import Message

__all__ = ["read_alpaca", "read_sharegpt"]

_LISTS = ("conversations", "conversation", "messages")


def read_alpaca(text: str) -> Import:
    """Read `instruction`, `input` and `output`, perhaps with `system` and a `history` of pairs.

    Dolly's rows call the latter two `context` and `response`.
    """
    return _read(text, _read_alpaca_turns)


def read_sharegpt(text: str) -> Import:
    """Read `conversations` (or `messages`, `conversation`) of `from` and `value`, perhaps with `system`.

    Rows of other services are such lists, too: of `role` and `content`, which may be parts of text.
    """
    return _read(text, _read_sharegpt_turns)


def _read(text: str, list_turns: Callable[[Record], Iterable[Message]]) -> Import:
    def read(number: int, record: Record) -> Conversation:
        turns = add_system(record, list(list_turns(record)), "system", "system_prompt")
        return Conversation(number, trim_turns(turns), read_thread(record))

    return read_each(text, read)


def _read_alpaca_turns(record: Record) -> Iterator[Message]:
    question, more = read_text(record, "instruction"), read_text(record, "input", "context")
    reply = read_text(record, "output", "response")
    if not question and not more:
        raise UnusableRecord("It has neither `instruction` nor `input`.")
    yield from read_history(record)
    yield Message("user", "\n\n".join(filter(None, (question, more))))
    if reply:
        yield Message("assistant", reply)


def _read_sharegpt_turns(record: Record) -> Iterable[Message]:
    return read_turns(next(filter(None, (as_list(record.get(name)) for name in _LISTS)), None), "user")
