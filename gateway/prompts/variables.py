"""Values for the names of a prompt's own, as a client gives them once: for a release, or for a training job's rows."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from pydantic import AfterValidator

import prompts
from gateway.errors import BadRequest

__all__ = ["Variables", "check_variables"]

_MOST_BYTES = 16_384
_MOST_NAMES = 64
_MOST_DEPTH = 4
_LARGEST_NUMBER = 2**63 - 1


def _check_values(values: dict[str, Any]) -> dict[str, Any]:
    if len(values) > _MOST_NAMES:
        raise ValueError(f"There are {len(values)} variables, and {_MOST_NAMES} are the most. Put some into a mapping.")
    _check_value(values, "", 0)
    size = len(msgspec.json.encode(values))
    if size > _MOST_BYTES:
        raise ValueError(f"The variables have {size} bytes as JSON, and {_MOST_BYTES} are the most. Shorten them.")
    return values


def _check_value(value: object, name: str, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise ValueError(f"{name} is nested more than {_MOST_DEPTH} deep. Make it flatter.")
    match value:
        case list():
            for index, item in enumerate(cast("list[object]", value)):
                _check_value(item, f"{name}[{index}]", depth + 1)
        case dict():
            for key, item in cast("dict[str, object]", value).items():
                _check_value(key, "a name", depth)
                _check_value(item, f"{name}.{key}" if name else key, depth + 1)
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"{name} has half a character (a lone surrogate). Send whole ones.")
        case int() | float() if not abs(value) <= _LARGEST_NUMBER:  # nor is NaN
            raise ValueError(f"{name} is a number out of range.")
        case None:
            raise ValueError(f"{name} is null. Give text, a number, true, false, a list or a mapping, or leave it out.")
        case _:
            pass


Variables = Annotated[dict[str, Any], AfterValidator(_check_values)]
"""Text, numbers, booleans, and lists and mappings of them, by name; up to 16 KiB as JSON."""


def check_variables(source: str | None, values: Mapping[str, Any], *, reference: str | None, param: str) -> None:
    """Refuse values with which a prompt can't be rendered, or that it has no use for.

    Args:
        source: The prompt's template; None where no prompt of the tenant's own is used.
        values: By name.
        reference: The prompt's `name@version`, for the message.
        param: The request's member with the values.

    Raises:
        BadRequest: With the names that are missing, and those that exist.
    """
    if source is None:
        if values:
            raise BadRequest(
                "Without a prompt there is nothing that has variables. Name one, or leave them out.", param=param
            )
        return
    try:
        template = prompts.compile(source)
        missing, unknown = template.required - values.keys(), values.keys() - template.variables
        if missing:
            names = ", ".join(f'"{name}": …' for name in sorted(missing))
            raise BadRequest(
                f"The prompt {reference!r} has variables of its own that need values: give {param} {{{names}}}.",
                param=param,
                code="missing_variables",
            )
        if unknown:
            variable_names = ", ".join(sorted(template.variables)) or "none"
            raise BadRequest(
                f"The prompt {reference!r} has no variable {', '.join(sorted(unknown))}; "
                f"its own are: {variable_names}.",
                param=param,
                code="unknown_variables",
            )
        for passages in ([prompts.NumberedPassage(1, "a title", "a text")], []):
            for cite in (True, False):
                prompts.draft(template, question="?", instructions="?", passages=passages, variables=values, cite=cite)
    except prompts.PromptError as error:
        raise BadRequest(f"The prompt {reference!r} can't be rendered: {error}", param="prompt") from None
