"""Alpaca's rows of instruction, input and output, and ShareGPT's lists of turns."""

from collections.abc import Callable, Iterable, Iterator

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.turns import (
    THREADS,
    TOOL_LISTS,
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

_LISTS = ("conversations", "conversation", "messages", "items")
_KNOWN_MEMBERS = frozenset(("system", "system_prompt", "label", "kto_tag", *TOOL_LISTS, *THREADS))
_MOST_NAMED = 8
_NO_INPUT = ("<noinput>", "<no input>", "noinput")
"""Inputs of the rows that Alpaca was made of, where there is none."""


def read_alpaca(text: str) -> Import:
    """Read `instruction`, `input` and `output`, perhaps with `system` and a `history` of pairs.

    Dolly's rows call the latter two `context` and `response`.
    """
    return _read(
        text, _read_alpaca_turns, _KNOWN_MEMBERS | {"instruction", "input", "context", "output", "response", "history"}
    )


def read_sharegpt(text: str) -> Import:
    """Read `conversations` (or `messages`, `conversation`, `items`) of `from` and `value`, perhaps with `system`.

    Rows of other services are such lists, too: of `role` and `content`, which may be parts of text.
    """
    return _read(text, _read_sharegpt_turns, _KNOWN_MEMBERS | {*_LISTS})


def _read(text: str, list_turns: Callable[[Record], Iterable[Message]], members: frozenset[str]) -> Import:
    unread: dict[str, None] = {}
    rows: set[int] = set()

    def read(number: int, record: Record) -> Conversation:
        turns = add_system(record, list(list_turns(record)), "system", "system_prompt")
        more = [name for name, value in record.items() if name not in members and value not in (None, "", [], {})]
        if more:
            unread.update(dict.fromkeys(more))
            rows.add(number)
        return Conversation(number, trim_turns(turns), read_thread(record))

    content = read_each(text, read)
    if not rows:
        return content
    names = [*unread][:_MOST_NAMED]
    reason = f"rows' other members: {', '.join(names)}{', …' if len(unread) > _MOST_NAMED else ''}"
    return Import(content.conversations, content.problems, {**content.omitted, reason: len(rows)})


def _read_alpaca_turns(record: Record) -> Iterator[Message]:
    question, more = read_text(record, "instruction"), read_text(record, "input", "context")
    more = "" if more.strip().casefold() in _NO_INPUT else more
    reply = read_text(record, "output", "response")
    if not question and not more:
        raise UnusableRecord("It has neither `instruction` nor `input`.")
    yield from read_history(record)
    yield Message("user", "\n\n".join(filter(None, (question, more))))
    if reply:
        yield Message("assistant", reply)


def _read_sharegpt_turns(record: Record) -> Iterable[Message]:
    if not any(name in record for name in _LISTS):
        raise UnusableRecord(f"It has no list of turns, such as `conversations`, and the members {', '.join(record)}.")
    return read_turns(next(filter(None, (as_list(record.get(name)) for name in _LISTS)), None), "user")
