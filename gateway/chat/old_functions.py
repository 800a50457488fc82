"""The old form of tools, `functions`, which clients before openai 1.1 and LangChain's older agents speak.

A request's functions become tools at the door, so that nothing behind it knows of them, and the call of an answer
becomes a `function_call` on its way out. What earlier messages have of that form, `earlier_calls` renews.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from gateway.errors import BadRequest

__all__ = [
    "CLIENT_NAMES",
    "OLD_REASONS",
    "FunctionRequest",
    "find_function_call",
    "name_functions",
    "renew_functions",
    "to_old_delta",
]

CLIENT_NAMES = {"tools": "functions", "tool_choice": "function_call"}
"""The names that a client which sends functions has for the members that engines get."""

OLD_REASONS = {"tool_calls": "function_call"}
"""The ends of choices that have another name in the old form."""

_CHOICES = ("none", "auto")


class FunctionRequest(Protocol):
    """The members of a request that tell of functions and tools; they are changed in place."""

    functions: list[dict[str, Any]] | None
    function_call: str | dict[str, Any] | None
    tools: list[dict[str, Any]] | None
    tool_choice: str | dict[str, Any] | None
    parallel_tool_calls: bool | None


def renew_functions(request: FunctionRequest) -> None:
    """Make tools of a request's functions; since an answer has room for one `function_call`, one call is asked for.

    Raises:
        BadRequest: There are tools, too, or `function_call` can't be obeyed.
    """
    functions, choice = request.functions or [], request.function_call
    if request.tools or request.tool_choice is not None:
        raise BadRequest(
            "The request has 'tools' and their old form 'functions' ('tool_choice' and 'function_call'). Send one.",
            param="functions" if functions else "function_call",
        )
    if isinstance(choice, str) and choice not in _CHOICES:
        raise BadRequest(
            f'function_call is {choice[:50]!r}. Use one of {", ".join(_CHOICES)}, or {{"name": …}}.',
            param="function_call",
        )
    if isinstance(choice, dict):
        name = choice.get("name")
        if not isinstance(name, str) or name not in [function.get("name") for function in functions]:
            raise BadRequest(
                f"function_call names {str(name)[:50]!r}, which isn't one of the functions.", param="function_call"
            )
        choice = {"type": "function", "function": {"name": name}}
    if functions:
        request.tools = [{"type": "function", "function": function} for function in functions]
        request.tool_choice = choice
        request.parallel_tool_calls = False


def name_functions(error: BadRequest) -> BadRequest:
    """Return an error of a tool as one that says where it stands among the functions."""
    param = error.param or ""
    if not param.startswith("tools["):
        return error
    place = param.replace("tools[", "functions[", 1).replace("].function", "]", 1)
    return BadRequest(error.message.replace(param, place), param=place, code=error.code)


def find_function_call(calls: Sequence[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Return the one call of an answer as its old form; engines that can't be told may make several."""
    function: dict[str, Any] | None = calls[0].get("function") if calls else None
    return function and {"name": function.get("name"), "arguments": function.get("arguments") or ""}


def to_old_delta(delta: dict[str, Any]) -> dict[str, Any]:
    """Return the delta of an event with its piece of the first call as the old form; {} where nothing else is in it."""
    pieces: list[dict[str, Any]] = delta.get("tool_calls") or []
    old = {name: value for name, value in delta.items() if name != "tool_calls"}
    functions: list[dict[str, Any]] = [piece.get("function") or {} for piece in pieces if not piece.get("index")]
    if functions:
        # Clients join the pieces of both, so that the name is sent once, and the arguments each time.
        name = "".join(function.get("name") or "" for function in functions)
        arguments = "".join(function.get("arguments") or "" for function in functions)
        old["function_call"] = ({"name": name} if name else {}) | {"arguments": arguments}
    elif pieces and not any(old.values()):
        return {}
    return old
