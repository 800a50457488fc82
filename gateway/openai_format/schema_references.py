"""References within a schema: what they name, and those that lead back to themselves before a value was read.

A list or an object may hold its own kind. A schema that *is* itself says nothing, and what makes a grammar of it fails.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

__all__ = ["find_endless_reference", "find_part"]

_IN_PLACE = ("allOf", "anyOf", "oneOf")


def find_part(schema: Mapping[str, Any], reference: object) -> object:
    """Return the part that a reference (`#`, and RFC 6901's pointer) names; None where there is none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    part: object = schema
    for step in unquote(reference[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list):
            items = cast("list[object]", part)
            part = items[int(name)] if name.isdecimal() and len(name) < 7 and int(name) < len(items) else None
        else:
            part = cast("dict[str, object]", part).get(name) if isinstance(part, dict) else None
    return part


def find_endless_reference(schema: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> str | None:
    """Return a reference by which a part is itself again; None if there is none.

    Args:
        schema: The whole, in which references point.
        parts: All of its parts that are schemas. The time grows with their number and that of the references.
    """
    entered: set[int] = set()
    for part in parts:
        # Walked without recursion: references can be as many as a schema has room for, each behind another.
        path = [(part, _choices(schema, part), "")] if id(part) not in entered else []
        entered.add(id(part))
        above = {id(part)}
        while path:
            node, choices, last = path[-1]
            reference, choice = next(choices, ("", None))
            if choice is None:
                path.pop()
                above.discard(id(node))
            elif id(choice) in above:
                return reference or last
            elif id(choice) not in entered:
                entered.add(id(choice))
                above.add(id(choice))
                path.append((choice, _choices(schema, choice), reference or last))
    return None


def _choices(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Yield the schemas that hold for the same value as a part does, with the reference of one that is referred to."""
    reference = part.get("$ref")
    target = find_part(schema, reference)
    if isinstance(target, dict):
        yield str(reference), cast("dict[str, Any]", target)
    for keyword in _IN_PLACE:
        choices = part.get(keyword)
        for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield "", cast("dict[str, Any]", choice)
