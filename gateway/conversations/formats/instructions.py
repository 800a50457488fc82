"""Alpaca's rows of instruction, input and output, and ShareGPT's lists of turns."""

from collections.abc import Callable, Iterable, Iterator

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, read_records
from training.dataset import Message, Problem

__all__ = ["read_alpaca", "read_sharegpt"]

_ROLES = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model"), "assistant"),
    "system": "system",
}

_SWITCHES = ("weight", "train", "loss")
"""Members of a turn by which trainers leave it out of what is learnt, with 0 or false."""

_LISTS = ("conversations", "conversation", "messages")


class _Unusable(Exception):
    """A record that can't be used; the text says why."""


def read_alpaca(text: str) -> Import:
    """Read `instruction`, `input` and `output`, perhaps with `system` and a `history` of pairs."""
    return _read(text, _read_alpaca_turns)


def read_sharegpt(text: str) -> Import:
    """Read `conversations` (or `messages`, `conversation`) of `from` and `value`, perhaps with `system`."""
    return _read(text, _read_sharegpt_turns)


def _read(text: str, read_turns: Callable[[Record], Iterable[Message]]) -> Import:
    records, problems = read_records(text, ("data", "train", "rows"))
    conversations: list[Conversation] = []
    for number, record in records:
        try:
            messages = _trim(list(read_turns(record)))
        except _Unusable as error:
            problems.append(Problem(number, str(error)))
        else:
            conversations.append(Conversation(number, messages, as_text(record.get("id"))))
    return Import(conversations, sorted(problems, key=lambda problem: problem.row), {})


def _trim(messages: list[Message]) -> list[Message]:
    """Return the turns up to the last reply.

    Raises:
        _Unusable: There is none, or no question before it.
    """
    while messages and messages[-1].role != "assistant":
        messages.pop()
    if not messages:
        raise _Unusable("It has no final reply, so there is nothing to learn.")
    first = next(index for index, message in enumerate(messages) if message.role != "system")
    if messages[first].role == "assistant":
        messages[first] = Message("assistant", messages[first].text, weight=0)
    if all(message.role != "user" for message in messages) or not any(message.is_target for message in messages):
        raise _Unusable("Its reply answers no question. Put the user's message before it.")
    return messages


def _read_alpaca_turns(record: Record) -> Iterator[Message]:
    question, more, reply = (as_text(record.get(name)) for name in ("instruction", "input", "output"))
    if not question.strip() and not more.strip():
        raise _Unusable("It has neither `instruction` nor `input`.")
    if system := as_text(record.get("system")):
        yield Message("system", system)
    for pair in as_list(record.get("history")):
        texts = [as_text(one) for one in as_list(pair)]
        if len(texts) != 2:
            raise _Unusable("Its `history` isn't a list of pairs.")
        yield Message("user", texts[0])
        yield Message("assistant", texts[1])
    yield Message("user", "\n\n".join(filter(str.strip, (question, more))))
    if reply.strip():
        yield Message("assistant", reply)


def _read_sharegpt_turns(record: Record) -> Iterator[Message]:
    turns = next(filter(None, (as_list(record.get(name)) for name in _LISTS)), as_list(None))
    if system := as_text(record.get("system")):
        yield Message("system", system)
    for turn in map(as_dict, turns):
        role = as_text(turn.get("from") or turn.get("role")).lower()
        text = _read_turn(turn)
        if role not in _ROLES:
            raise _Unusable(f"It has a turn of {role!r}, and only human, gpt and system are known.")
        if text.strip():
            unlearnt = _ROLES[role] == "assistant" and any(turn.get(name) in (0, False) for name in _SWITCHES)
            yield Message(_ROLES[role], text, weight=0 if unlearnt else None)  # pyright: ignore[reportArgumentType]


def _read_turn(turn: Record) -> str:
    """Return a turn's text; of one in parts, as chats have it, their texts.

    Raises:
        _Unusable: A part is no text.
    """
    content = turn.get("value") or turn.get("content") or turn.get("text")
    parts = [as_dict(part) for part in as_list(content)]
    if any(not isinstance(part.get("text"), str) for part in parts):
        raise _Unusable("A turn has something else than text in it, and only text is learnt.")
    return "\n".join(as_text(part["text"]) for part in parts) if parts else as_text(content)
