"""What vLLM 0.32 refuses of a chat request's form, before it looks at the prompt, as its own validators do."""

from collections.abc import Iterator
from typing import Any

__all__ = ["find_refusals"]


def find_refusals(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a sentence and the parameter of each rule that the body breaks."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools == []:
        yield (
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.",
            "tools",
        )
    if choice not in (None, "none") and tools is None:
        yield "When using `tool_choice`, `tools` must be set.", "tool_choice"
    if isinstance(choice, dict) and choice["function"]["name"] not in [
        tool["function"]["name"] for tool in tools or ()
    ]:
        yield "The tool specified in `tool_choice` does not match any of the specified `tools`", "tool_choice"
    if (body.get("top_logprobs") or 0) > 0 and not body.get("logprobs"):
        yield "when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs"
    if body.get("stream_options") and not body.get("stream"):
        yield "Stream options can only be defined when `stream=True`.", "stream_options"
    stop = body.get("stop") or []
    if "" in ([body["stop"]] if isinstance(body.get("stop"), str) else stop):
        yield "stop cannot contain an empty string.", "stop"
    for message in body["messages"]:
        yield from _check_message(message)


def _check_message(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if message["role"] != "assistant" and not isinstance(message.get("content"), str | list):
        yield "Input should be a valid string", "messages"
    for call in message.get("tool_calls") or ():
        function = call.get("function")
        whole = (
            isinstance(function, dict) and {"name", "arguments"} <= function.keys() and {"id", "type"} <= call.keys()
        )
        if not whole or not isinstance(function["arguments"], str):
            yield "chat completions only support assistant tool_calls of type 'function'.", "tool_calls"
