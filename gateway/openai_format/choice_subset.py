"""`tool_choice` of the type `allowed_tools`: some of a request's tools, for this answer alone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from gateway.errors import BadRequest

__all__ = ["find_allowed"]

_TYPE = "allowed_tools"
_MODES = ("auto", "required")

Choice = str | dict[str, Any] | None


def find_allowed(tools: Sequence[Mapping[str, Any]] | None, choice: Choice) -> tuple[Collection[int], Choice]:
    """Return the places of the tools that `tool_choice` allows, and the choice among them, which engines know.

    Chat has mode and tools in a member of their own and Responses beside the type, and likewise a function's name.

    Raises:
        BadRequest: It has no mode or no tools, or allows one that isn't there.
    """
    names = [_name(tool) for tool in tools or ()]
    if not isinstance(choice, dict) or choice.get("type") != _TYPE:
        return range(len(names)), choice
    members = _members(choice.get(_TYPE, choice))
    mode, allowed = members.get("mode"), members.get("tools")
    if mode not in _MODES or not isinstance(allowed, list) or not allowed:
        raise BadRequest(
            f"tool_choice of the type {_TYPE} has a mode, {' or '.join(_MODES)}, and one or more of the tools.",
            param="tool_choice",
        )
    allowed_names = [_name(tool) for tool in cast("list[Any]", allowed)]
    for kind, name in allowed_names:
        if (kind, name) not in names:
            raise BadRequest(
                f"tool_choice allows {(name or kind)[:50]!r}, which isn't one of the tools.", param="tool_choice"
            )
    return [place for place, name in enumerate(names) if name in allowed_names], mode


def _name(tool: object) -> tuple[str, str]:
    """Return a tool's type, and a function's name."""
    members = _members(tool)
    name = _members(members.get("function", members)).get("name")
    return str(members.get("type")), str(name or "")


def _members(value: object) -> Mapping[str, Any]:
    """Return an object's members; of what is none, no members."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
