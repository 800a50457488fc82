"""A conversation to learn from, whatever it was read from, and its way back to OpenAI's JSONL."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from training.dataset import Message, Problem, RowPassage

__all__ = ["Conversation", "Import", "UnusableFile", "encode_conversations"]


class UnusableFile(Exception):
    """A file that can't be read as conversations at all; the message says why, and what to do next."""


class Conversation(msgspec.Struct, frozen=True):
    """One conversation of a file.

    Attributes:
        number: Its place in the file, from 1: the line of JSONL, else the record.
        messages: Its turns; the last is an assistant's, the better one of a preference row.
        id: That of the thread in the system that it comes from; "" where there is none.
        passages: Those of its prompt: None where it says nothing of them, empty for a search that found nothing.
        rejected: The worse reply of a preference row; None in all others.
        written_by: The model that wrote it; None for what people wrote.
    """

    number: int
    messages: Sequence[Message]
    id: str = ""
    passages: Sequence[RowPassage] | None = None
    rejected: str | None = None
    written_by: str | None = None

    @property
    def replies(self) -> list[str]:
        """The texts that are learnt."""
        return [message.text for message in self.messages if message.is_target]

    @property
    def prompt(self) -> str:
        """Everything that isn't learnt, and so stands in some prompt: other turns and the titles of passages."""
        texts = [message.text for message in self.messages if not message.is_target]
        for passage in self.passages or ():
            texts += [passage.title, passage.text]
        return "\n".join(texts)


@dataclass(frozen=True, slots=True)
class Import:
    """The content of a file.

    Attributes:
        problems: The records that can't be used, by number.
        omitted: Numbers of what was left out on purpose, by its reason, such as internal notes.
        encoding: The older encoding that the file was taken to be in; "" for UTF-8 and UTF-16.
    """

    conversations: Sequence[Conversation]
    problems: Sequence[Problem]
    omitted: dict[str, int]
    encoding: str = ""


def encode_conversations(conversations: Iterable[Conversation]) -> bytes:
    """Return conversations as JSONL in OpenAI's formats: of chats, or of preferences where there is a worse reply."""
    return b"".join(msgspec.json.encode(_to_row(conversation)) + b"\n" for conversation in conversations)


def _to_row(conversation: Conversation) -> dict[str, Any]:
    passages, author = conversation.passages, conversation.written_by
    own: dict[str, Any] = {} if author is None else {"written_by": author}
    if passages is not None:
        own = {"passages": [msgspec.to_builtins(one) for one in passages], **own}
    braid = {"braid": own} if own else {}
    if conversation.rejected is None:
        return {"messages": list(_encode_messages(conversation.messages)), **braid}
    return {
        "input": {"messages": [*map(_without_weight, _encode_messages(conversation.messages[:-1]))]},
        "preferred_output": list(_encode_messages(conversation.messages[-1:])),
        "non_preferred_output": [{"role": "assistant", "content": conversation.rejected}],
        **braid,
    }


def _without_weight(message: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is true of all replies in an input: they are read and not learnt."""
    return {name: value for name, value in message.items() if name != "weight"}


def _encode_messages(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    for message in messages:
        optional = {"name": message.name, "weight": message.weight}
        fields = {name: value for name, value in optional.items() if value is not None}
        yield {"role": message.role, "content": message.text, **fields}
