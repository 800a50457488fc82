"""`tool_choice` of the type `allowed_tools`: some of a request's tools, for this answer alone."""

from collections.abc import Mapping
from typing import Any, cast

from gateway.errors import BadRequest

__all__ = ["narrow_tools"]

_TYPE = "allowed_tools"
_MODES = ("auto", "required")

Tools = list[dict[str, Any]] | None
Choice = str | dict[str, Any] | None


def narrow_tools(tools: Tools, choice: Choice) -> tuple[Tools, Choice]:
    """Return the tools that `tool_choice` allows and the choice among them, which engines know; others unchanged.

    Chat has mode and tools in a member of their own and Responses beside the type, and likewise a function's name.

    Raises:
        BadRequest: It has no mode or no tools, or allows one that isn't there.
    """
    if not isinstance(choice, dict) or choice.get("type") != _TYPE:
        return tools, choice
    members = _members(choice.get(_TYPE, choice))
    mode, allowed = members.get("mode"), members.get("tools")
    if mode not in _MODES or not isinstance(allowed, list) or not allowed:
        raise BadRequest(
            f"tool_choice of the type {_TYPE} has a mode, {' or '.join(_MODES)}, and one or more of the tools.",
            param="tool_choice",
        )
    names = {_name(tool) for tool in cast("list[Any]", allowed)}
    for name in names - {_name(tool) for tool in tools or ()}:
        raise BadRequest(f"tool_choice allows {name[:50]!r}, which isn't one of the tools.", param="tool_choice")
    return [tool for tool in tools or () if _name(tool) in names], mode


def _name(tool: object) -> str:
    """Return the name of a function, and of another tool its type."""
    members = _members(tool)
    name = _members(members.get("function", members)).get("name")
    return str(name or members.get("type"))


def _members(value: object) -> Mapping[str, Any]:
    """Return an object's members; of what is none, no members."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
