"""Turns as chats of any program have them: a role, and a text or its parts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.records import ROW_LISTS, Record, as_dict, as_list, as_text, read_records
from training.dataset import Message, Problem

__all__ = [
    "BAD",
    "THREADS",
    "TOOLS",
    "TOOL_LISTS",
    "UnusableRecord",
    "add_system",
    "has_tools",
    "is_marked",
    "read_all",
    "read_each",
    "read_history",
    "read_text",
    "read_thread",
    "read_turn_text",
    "read_turns",
    "trim_turns",
]

Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, Role] = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "chatbot"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_SWITCHES = ("weight", "train", "loss")
"""Members of a turn by which trainers leave it out of what is learnt, with 0 or false."""
_PARTLY = ("train_detail", "training_detail")
"""Members of a turn by which Axolotl learns parts of it."""
THREADS = ("conversation", "conversation_id", "thread_id", "ticket_id", "id")
TOOL_LISTS = ("tools", "functions")
BAD = "replies that are marked as bad (`label`: false)"
TOOLS = "It has tools, and rows with tools can't be trained on. Leave them out."
_MEDIA = ("image", "images", "video", "videos", "audio", "audios")
"""The members that rows of LLaVA and LLaMA-Factory have beside turns that speak of it."""
_PICTURES = "It has pictures, videos or sound, and only text is learnt. Leave such rows out."
_CALLS = ("tool_calls", "function_call", "functionCall", "functionResponse", "toolUse", "toolResult")
_TOOLS_TEXT = re.compile(r"\s*[\[{]\s*[^\s\]}]")
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \t]*")
"""The turns of one text, as Anthropic's older prompts and data sets write them."""


class UnusableRecord(Exception):
    """A record that can't be used; the text says why."""


def read_each(text: str, read: Callable[[int, Record], Conversation]) -> Import:
    """Read each record by itself, with its number; one that raises `UnusableRecord` is a problem of its row."""
    return read_all(*read_records(text, ROW_LISTS), read)


def is_marked(record: Mapping[str, Any]) -> bool:
    """Tell whether a row's reply is one of KTO's that aren't to be learnt; 0 may be a class of anything."""
    return any(str(record.get(name)).strip().casefold() == "false" for name in ("label", "kto_tag"))


def has_tools(record: Mapping[str, Any]) -> bool:
    """Tell whether a row has tools, of which its reply may be a call: some, or JSON of some in a text."""
    values = map(record.get, TOOL_LISTS)
    return any(_TOOLS_TEXT.match(value) if isinstance(value, str) else value for value in values)


def read_all(
    records: Iterable[tuple[int, Record]],
    problems: Sequence[Problem],
    read: Callable[[int, Record], Conversation],
    is_bad: Callable[[Record], bool] = is_marked,
) -> Import:
    """Read records that were split already, as `read_each` does; those that `is_bad` tells are left out."""
    conversations: list[Conversation] = []
    faults = [*problems]
    bad = 0
    for number, record in records:
        if is_bad(record):
            bad += 1
            continue
        try:
            if has_tools(record):
                raise UnusableRecord(TOOLS)
            if any(record.get(name) for name in _MEDIA):
                raise UnusableRecord(_PICTURES)
            conversations.append(read(number, record))
        except UnusableRecord as error:
            faults.append(Problem(number, str(error)))
    return Import(conversations, sorted(faults, key=lambda problem: problem.row), {BAD: bad} if bad else {})


def read_turns(value: Any, role: Role) -> list[Message]:
    """Return the turns of a list of messages, of one, or of a text, which is a turn of the role or a transcript.

    Blank turns say nothing and are left out.

    Raises:
        UnusableRecord: A turn isn't one of a person's, or has more than text in it.
    """
    if isinstance(value, str):
        pieces = _TRANSCRIPT.split(value.strip())
        if pieces[0] or pieces[1:2] != ["Human"]:
            return [Message(role, value)] if value.strip() else []
        turns: list[Record] = [
            {"role": name, "content": text.strip()} for name, text in zip(pieces[1::2], pieces[2::2], strict=True)
        ]
    else:
        turns = [as_dict(turn) for turn in as_list(value) or filter(None, [value])]
    messages = [_read_turn(turn) for turn in turns]
    return [message for message in messages if message.text.strip()]


def _read_turn(turn: Record) -> Message:
    name = as_text(turn.get("from") or turn.get("role"))
    if name.lower() not in _ROLES:
        if not name:
            raise UnusableRecord('It has a turn that isn\'t {"from": …, "value": …} or {"role": …, "content": …}.')
        raise UnusableRecord(f"It has a turn of {name!r}, and only human, gpt and system are known.")
    if any(turn.get(member) for member in _PARTLY):
        raise UnusableRecord("It has a turn of which parts are learnt, and here a reply is learnt whole or not at all.")
    role = _ROLES[name.lower()]
    unlearnt = role == "assistant" and any([_is_off(switch, turn.get(switch)) for switch in _SWITCHES])
    return Message(role, read_turn_text(turn), weight=0 if unlearnt else None)


def _is_off(switch: str, value: Any) -> bool:
    """Tell whether a turn isn't learnt; tables write such switches as texts, too.

    Raises:
        UnusableRecord: It is neither, so that nobody can tell.
    """
    word = str(value).strip().casefold()
    if word in ("0", "0.0", "false"):
        return True
    if value is None or word in ("", "1", "1.0", "true"):
        return False
    raise UnusableRecord(f"It has a turn whose `{switch}` is {value!r}, and a reply is learnt (1) or not (0).")


def read_turn_text(turn: Record) -> str:
    """Return a turn's text; of one in parts, as chats have it, their texts but for thoughts.

    Raises:
        UnusableRecord: It has a call of a tool, or a part is no text.
    """
    content = next(filter(None, map(turn.get, ("value", "content", "text", "parts"))), None)
    parts = [as_dict(part) for part in (as_list(content) or ([content] if isinstance(content, dict) else []))]
    if any(turn.get(name) for name in _CALLS) or any(name in part for part in parts for name in _CALLS):
        raise UnusableRecord("It has calls of tools, and rows with tools can't be trained on. Leave these turns out.")
    parts = [part for part in parts if part.get("thought") is not True]
    if any(not isinstance(part.get("text"), str) for part in parts):
        raise UnusableRecord("A turn has something else than text in it, and only text is learnt.")
    return "\n".join(as_text(part["text"]) for part in parts) if parts else as_text(content)


def read_text(record: Record, *names: str) -> str:
    """Return the first text under one of the names that isn't blank; numbers are texts.

    Raises:
        UnusableRecord: One is there that is no text.
    """
    for name in names:
        text = as_text(record.get(name))
        if text.strip():
            return text
        if record.get(name) not in (None, text, []):
            raise UnusableRecord(f"Its `{name}` is no text.")
    return ""


def read_thread(record: Record) -> str:
    """Return the thread that a record names, under the names that a table's column of it may have; "" for none."""
    return next(filter(None, (as_text(record.get(name)) for name in THREADS)), "")


def read_history(record: Record) -> list[Message]:
    """Return the turns of a `history` of pairs, as LLaMA-Factory has them; blank ones are left out.

    Raises:
        UnusableRecord: It is something else.
    """
    history = record.get("history")
    turns: list[Message] = []
    for pair in as_list(history) or ([] if history in (None, "", "[]", []) else [history]):
        texts = as_list(pair)
        if len(texts) != 2 or any(one is not None and not isinstance(one, str) for one in texts):
            raise UnusableRecord("Its `history` isn't a list of pairs.")
        turns += [Message("user", as_text(texts[0])), Message("assistant", as_text(texts[1]))]
    return [turn for turn in turns if turn.text.strip()]


def add_system(record: Record, turns: Sequence[Message], *names: str) -> list[Message]:
    """Return the turns behind the system text that stands under one of the names beside them, unless they have it.

    Raises:
        UnusableRecord: It isn't text.
    """
    value = next(filter(None, map(record.get, names)), None)
    members = as_dict(value)
    text = read_turn_text(members if members and "text" not in members else {"content": value})
    systems = {turn.text.strip() for turn in turns if turn.role == "system"}
    return [*turns] if text.strip() in {"", *systems} else [Message("system", text), *turns]


def trim_turns(messages: list[Message]) -> list[Message]:
    """Return the turns up to the last reply.

    Raises:
        UnusableRecord: There is none, or no question before it.
    """
    while messages and messages[-1].role != "assistant":
        messages.pop()
    if not messages:
        raise UnusableRecord("It has no final reply, so there is nothing to learn.")
    first = next(index for index, message in enumerate(messages) if message.role != "system")
    if messages[first].role == "assistant":
        messages[first] = Message("assistant", messages[first].text, weight=0)
    if all(message.role != "user" for message in messages) or not any(message.is_target for message in messages):
        raise UnusableRecord("Its reply answers no question. Put the user's message before it.")
    return messages
