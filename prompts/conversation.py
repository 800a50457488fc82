from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from prompts.errors import NoQuestion

__all__ = ["ConversationParts", "Message", "Role", "split"]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation, its content already flattened to text.

    `fields` are the message's other members (`tool_calls`, `tool_call_id`, `name`, a training row's `weight`); they
    are carried through to the rendered message.
    """

    role: Role
    content: str = ""
    fields: Mapping[str, Any] = {}


class ConversationParts(msgspec.Struct, frozen=True):
    """A list of messages, cut into the parts that the layout of a prompt treats differently.

    `after` are the messages behind the question: a tool call and its results, the start of an answer, a training row's
    reply.
    """

    instructions: str | None
    history: tuple[Message, ...]
    question: str
    after: tuple[Message, ...]


def split(messages: Sequence[Message]) -> ConversationParts:
    """Cut `messages` at the last user message, which is the question.

    System messages become the instructions, joined in their order wherever they stood: a later one would otherwise
    break the engine's prefix cache, and many chat templates refuse it.

    Raises:
        NoQuestion: No message has the role `user`.
    """
    turns = [message for message in messages if message.role != "system"]
    last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role == "user"), None)
    if last is None:
        raise NoQuestion()
    instructions = "\n\n".join(message.content for message in messages if message.role == "system")
    return ConversationParts(instructions or None, tuple(turns[:last]), turns[last].content, tuple(turns[last + 1 :]))
