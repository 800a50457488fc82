"""Alpaca's rows of instruction, input and output, and ShareGPT's lists of turns."""

from collections.abc import Callable, Iterable, Iterator

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.turns import UnusableRecord, read_each, read_system, read_turns, trim_turns
from gateway.conversations.records import Record, as_list, as_text
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
        return Conversation(number, trim_turns(list(list_turns(record))), as_text(record.get("id")))

    return read_each(text, read)


def _read_alpaca_turns(record: Record) -> Iterator[Message]:
    question = as_text(record.get("instruction"))
    more, reply = (
        next(filter(str.strip, (as_text(record.get(name)) for name in names)), "")
        for names in (("input", "context"), ("output", "response"))
    )
    if not question.strip() and not more.strip():
        raise UnusableRecord("It has neither `instruction` nor `input`.")
    yield from read_system(record, "system")
    for pair in as_list(record.get("history")):
        texts = [as_text(one) for one in as_list(pair)]
        if len(texts) != 2:
            raise UnusableRecord("Its `history` isn't a list of pairs.")
        yield Message("user", texts[0])
        yield Message("assistant", texts[1])
    yield Message("user", "\n\n".join(filter(str.strip, (question, more))))
    if reply.strip():
        yield Message("assistant", reply)


def _read_sharegpt_turns(record: Record) -> Iterator[Message]:
    yield from read_system(record, "system")
    yield from read_turns(next(filter(None, (as_list(record.get(name)) for name in _LISTS)), None), "user")
