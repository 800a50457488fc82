"""The tool calls of earlier answers, which clients send back in several forms, in the one that engines take."""

from typing import Any, Protocol, cast

import msgspec

from gateway.errors import BadRequest

__all__ = ["CallingMessage", "renew_calls"]


class CallingMessage(Protocol):
    """The members of a message that tell of calls; they are changed in place."""

    role: Any
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None
    function_call: dict[str, Any] | None


def renew_calls(messages: list[Any]) -> None:
    """Make whole, in place, the calls that assistants made in a conversation.

    A call without a type is one of a function, and arguments may be left out or be an object. The old form, a
    `function_call` whose result is of the role `function`, becomes a call with an id that its result names.

    Raises:
        BadRequest: A call has no function with a name, or no id.
    """
    called: str | None = None
    for index, message in enumerate(messages):
        _renew(message, index, called)
        called = f"call_{index}" if message.function_call is not None else None


def _renew(message: CallingMessage, index: int, called: str | None) -> None:
    if message.role == "function" and message.tool_call_id is None:
        message.tool_call_id = called
    if message.function_call is not None and not message.tool_calls:
        call = {"id": f"call_{index}", "function": message.function_call}
        message.tool_calls = [_whole(call, f"messages[{index}].function_call")]
    elif message.tool_calls is not None:
        places = enumerate(message.tool_calls)
        calls = [_whole(call, f"messages[{index}].tool_calls[{number}]") for number, call in places]
        message.tool_calls = calls or None


def _whole(call: dict[str, Any], where: str) -> dict[str, Any]:
    function = call.get("function")
    fields = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name = fields.get("name")
    if not isinstance(name, str) or not isinstance(call.get("id"), str) or call.get("type", "function") != "function":
        raise BadRequest(
            "An earlier call has no id, or no function with a name. Send it back as the answer had it.", param=where
        )
    arguments: Any = fields.get("arguments") or ""
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return {"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}
