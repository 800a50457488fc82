"""Regular expressions in a schema that say what a format beside them says, as clients' libraries write them.

Zod makes `{"format": "email", "pattern": …}` of an address, and the Vercel AI SDK and OpenAI's package for Node send
that. Engines go by the format and never compile the pattern beside one that they know (xgrammar 0.1).
"""

from collections.abc import Mapping
from typing import Any, cast

from gateway.openai_format.schema_repeats import DATA, NAME_MEMBERS

__all__ = ["drop_said_patterns", "is_pattern_said"]

_FORMATS = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "json-pointer",
        "time",
        "uri",
        "uri-reference",
        "uuid",
    }
)


def is_pattern_said(members: Mapping[str, Any]) -> bool:
    """Tell whether a part of a schema has a format that engines go by instead of its pattern."""
    form = members.get("format")
    return isinstance(form, str) and form in _FORMATS


def drop_said_patterns(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema, of bounded depth, without the patterns that a format beside them says."""
    return {
        name: value if name in DATA else _drop(value, names=name in NAME_MEMBERS)
        for name, value in schema.items()
        if name != "pattern" or not is_pattern_said(schema)
    }


def _drop(node: object, *, names: bool = False) -> object:
    """Return a node without them; the keys of `names` are no keywords of a schema."""
    if isinstance(node, list):
        return [_drop(one) for one in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    members = cast("dict[str, Any]", node)
    return {name: _drop(one) for name, one in members.items()} if names else drop_said_patterns(members)
