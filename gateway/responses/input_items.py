"""The items of a request's input → the messages of a conversation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import prompts
from gateway.answering.question import Message
from gateway.errors import BadRequest

__all__ = ["to_messages"]

_ROLES: dict[str, prompts.Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_LEFT_OUT = frozenset({"reasoning", "file_search_call"})
"""Items of earlier answers that say nothing to the model: thoughts aren't shown twice, and passages are found anew."""


def to_messages(items: str | Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return the conversation in a request's `input`: a text, or items, oldest first.

    Raises:
        BadRequest: An item is of a kind that can't be answered, or lacks what its kind needs.
    """
    if isinstance(items, str):
        return [Message("user", items)]
    messages: list[Message] = []
    for index, item in enumerate(items):
        where = f"input[{index}]"
        kind = _kind_of(item)
        if kind == "message":
            messages.append(_to_message(item, where))
        elif kind == "function_call":
            _add_call(messages, item, where)
        elif kind == "function_call_output":
            output = _to_text(item.get("output"), f"{where}.output")
            messages.append(Message("tool", output, tool_call_id=_word(item, "call_id", where)))
        elif kind == "item_reference":
            raise BadRequest(
                "An item refers to another one, and items aren't stored here. Send it itself: a client that stores "
                "responses by default stops that with 'store' false.",
                param=f"{where}.type",
                code="unsupported_format",
            )
        elif kind not in _LEFT_OUT:
            raise BadRequest(
                f"An item has the type {kind[:50]!r}. Send items of type 'message', 'function_call' and "
                "'function_call_output'.",
                param=f"{where}.type",
                code="unsupported_format",
            )
    if not messages:
        raise BadRequest("There is no message in 'input'. Send the user's question.", param="input")
    return messages


def _kind_of(item: Mapping[str, Any]) -> str:
    """Return an item's kind, which OpenAI's clients may leave out of messages and of references."""
    kind = item.get("type")
    if kind is None:
        kind = "message" if "role" in item else "item_reference" if item.keys() <= {"id", "type"} else None
    return str(kind)


def _to_message(item: Mapping[str, Any], where: str) -> Message:
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise BadRequest(
            f"A message has the role {str(item.get('role'))[:50]!r}. Use one of {', '.join(_ROLES)}.",
            param=f"{where}.role",
        )
    content = item.get("content")
    if content is None and role == "assistant":  # as chat answers that the model refuses
        content = item.get("refusal")
    return Message(role, _to_text(content, f"{where}.content"))


def _add_call(messages: list[Message], item: Mapping[str, Any], where: str) -> None:
    """Add a call to the assistant's message before it, which may have called others, or to one of its own."""
    function = {"name": _word(item, "name", where), "arguments": _word(item, "arguments", where)}
    call = {"id": _word(item, "call_id", where), "type": "function", "function": function}
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant":
        messages.append(Message("assistant", None, tool_calls=[call]))
        return
    calls = [*(last.tool_calls or []), call]
    messages[-1] = Message("assistant", last.content, tool_calls=calls)


def _to_text(content: object, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest("The content has to be text or a list of parts.", param=where)
    texts: list[str] = []
    for part in cast("list[object]", content):
        members = cast("dict[str, object]", part) if isinstance(part, dict) else {}
        text = members.get(_TEXTS.get(str(members.get("type")), ""))
        if not isinstance(text, str):
            raise BadRequest(
                f"Content parts of type {str(members.get('type'))[:50]!r} aren't supported; send parts of type "
                "'input_text' with their text.",
                param=where,
            )
        texts.append(text)
    return "\n".join(texts)


def _word(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"An item of type {item.get('type')!r} needs {name!r}, a text.", param=f"{where}.{name}")
    return value
