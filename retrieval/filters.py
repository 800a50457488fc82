"""OpenAI's attribute filters → conditions that run inside the index."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from retrieval.errors import InvalidFilter
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not
from retrieval.messages import Attribute

__all__ = ["ATTRIBUTES_FIELD", "check_filter", "compile_filter", "encode_attributes", "join_filters"]

ATTRIBUTES_FIELD = "where"
"""Payload field that holds the attributes in the form that filters match."""

_VALUE, _REST = "k", "r"
"""First letters of the fields for a value, and for what an integer has more than the float nearest to it."""

_DEPTH = 8
_PARTS = 100
_VALUES = 500
"""Values that a filter compares with, in all: each costs the index time at every point that it looks at."""

_EXACT = 2**53
"""Up to here every integer is a float of its own; engines compare floats."""

_KEY_LENGTH = 64
_MEMBERS = {"and": {"type", "filters"}, "or": {"type", "filters"}}
_COMPARISON_MEMBERS = {"type", "key", "value"}
_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")


def encode_attributes(attributes: Mapping[str, Attribute]) -> dict[str, str | float]:
    """Give attributes the form that compiled filters match.

    Keys become hexadecimal, since the engines read `.`, `[` and `"` in a key as a path. Strings and booleans become
    tagged strings, so that "true" isn't True; numbers stay, so that ranges work. What an integer has more than the
    float nearest to it stands under a key beside it.
    """
    encoded = {_encode_key(key): _encode_value(value) for key, value in attributes.items()}
    rests = {_encode_key(key, _REST): _rest_of(value) for key, value in attributes.items()}
    return encoded | {key: rest for key, rest in rests.items() if rest}


def compile_filter(filters: Mapping[str, Any]) -> Condition:
    """Compile a comparison or compound filter. `ne` and `nin` also hold for documents without the attribute.

    What `join_filters` joined may be a level deeper and twice as large as one filter.

    Raises:
        InvalidFilter: It isn't one; the message names the part that is wrong.
    """
    compiled = _compile(filters, "filters", _DEPTH + 1)
    _check_size(filters, 2 * _VALUES)
    return compiled


def check_filter(filters: object) -> None:
    """Refuse what isn't a filter, or is deeper than 8 levels or compares with more than 500 values.

    Raises:
        InvalidFilter: The message names the part that is wrong.
    """
    _compile(filters, "filters", _DEPTH)
    _check_size(filters, _VALUES)


def join_filters(*filters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the filter that lets through what all of these do; None where there is none of them."""
    parts = [dict(one) for one in filters if one is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    return {"type": "and", "filters": parts}


def _check_size(filters: object, most: int) -> None:
    values = _count_values(filters)
    if values > most:
        raise InvalidFilter(f"filters compare with {values} values in all, and {most} are the most. Use fewer.")


def _count_values(node: Any) -> int:
    if "filters" in node:
        return sum(map(_count_values, node["filters"]))
    return len(node["value"]) if isinstance(node["value"], list) else 1


def _compile(node: object, where: str, depth: int) -> Condition:
    if not isinstance(node, Mapping):
        raise InvalidFilter(f"{where} is not an object. Send {{'type': 'eq', 'key': …, 'value': …}} or 'and'/'or'.")
    if depth == 0:
        raise InvalidFilter(f"{where} is nested deeper than {_DEPTH} levels. Flatten it.")
    node = cast("Mapping[str, Any]", node)
    kind = node.get("type")
    if isinstance(kind, str) and (unknown := sorted(node.keys() - _MEMBERS.get(kind, _COMPARISON_MEMBERS))):
        members = ", ".join(sorted(_MEMBERS.get(kind, _COMPARISON_MEMBERS)))
        raise InvalidFilter(f"{where} has a member {unknown[0]!r}, and a filter of type {kind!r} has only {members}.")
    if kind in ("and", "or"):
        parts: object = node.get("filters")
        if not isinstance(parts, list) or not 0 < len(cast("list[Any]", parts)) <= _PARTS:
            raise InvalidFilter(f"{where}.filters must be a list of 1 to {_PARTS} filters.")
        compiled = tuple(
            _compile(part, f"{where}.filters[{n}]", depth - 1) for n, part in enumerate(cast("list[Any]", parts))
        )
        return All(compiled) if kind == "and" else AnyOf(compiled)
    if kind not in _COMPARISONS:
        raise InvalidFilter(f"{where}.type is {kind!r}. Use one of {', '.join(_COMPARISONS)}, and, or.")
    key = node.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= _KEY_LENGTH:
        raise InvalidFilter(f"{where}.key must be the name of an attribute, of 1 to {_KEY_LENGTH} characters.")
    return _compile_comparison(kind, key, node.get("value"), where)


def _compile_comparison(kind: str, key: str, value: object, where: str) -> Condition:
    match kind:
        case "eq":
            return _match_value(key, _check_value(value, where))
        case "ne":
            return Not(_match_value(key, _check_value(value, where)))
        case "in" | "nin":
            if not isinstance(value, list) or not 0 < len(cast("list[Any]", value)) <= _PARTS:
                raise InvalidFilter(f"{where}.value must be a list of 1 to {_PARTS} values for '{kind}'.")
            among = _match_any(key, [_check_value(item, where) for item in cast("list[Any]", value)])
            return among if kind == "in" else Not(among)
        case _:
            number = _check_value(value, where)
            if isinstance(number, bool | str):
                raise InvalidFilter(f"{where}.value must be a number for '{kind}'; strings have no order here.")
            return _compare(key, kind, number)


def _match_any(key: str, values: Sequence[Attribute]) -> Condition:
    words = tuple(_encode_word(value) for value in values if isinstance(value, bool | str))
    numbers = [_match_value(key, value) for value in values if not isinstance(value, bool | str)]
    return AnyOf((*([Match(_path_to(key), words)] if words else []), *numbers))


def _match_value(key: str, value: Attribute) -> Condition:
    path = _path_to(key)
    if isinstance(value, bool | str):
        return Match(path, (_encode_word(value),))
    same = Between(path, gte=_nearest(value), lte=_nearest(value))
    return same if abs(value) < _EXACT else All((same, _compare_rest(key, "eq", _rest_of(value))))


def _compare(key: str, kind: str, value: float) -> Condition:
    """Compare numbers: by the floats nearest to them, and where those are the same one, by the rests."""
    path, nearest = _path_to(key), _nearest(value)
    if abs(value) < _EXACT:
        return Between(path, **{kind: nearest})
    same = Between(path, gte=nearest, lte=nearest)
    return AnyOf((Between(path, **{kind[:2]: nearest}), All((same, _compare_rest(key, kind, _rest_of(value))))))


def _compare_rest(key: str, kind: str, rest: float) -> Condition:
    """Compare what a number has more than the float nearest to it, which isn't there where it is 0."""
    path = _path_to(key, _REST)
    bounds = {"gte": rest, "lte": rest} if kind == "eq" else {kind: rest}
    holds_without = {"eq": rest == 0, "gt": rest < 0, "gte": rest <= 0, "lt": rest > 0, "lte": rest >= 0}[kind]
    condition = Between(path, **bounds)
    return AnyOf((condition, Not(Between(path, gte=-_EXACT, lte=_EXACT)))) if holds_without else condition


def _check_value(value: object, where: str) -> Attribute:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        if abs(value) <= sys.float_info.max:
            return value
        raise InvalidFilter(f"{where}.value must be a finite number, of at most 308 digits.")
    raise InvalidFilter(f"{where}.value must be a string, a number or a boolean, not {type(value).__name__}.")


def _encode_value(value: Attribute) -> str | float:
    if isinstance(value, bool | str):
        return _encode_word(value)
    return int(_nearest(value)) if isinstance(value, int) else value  # engines write whole numbers as they are


def _encode_word(value: bool | str) -> str:
    return f"b:{value}" if isinstance(value, bool) else f"s:{value}"


def _rest_of(value: Attribute) -> float:
    """Return what an integer has more than the float nearest to it; at most 1023 for one of 64 bits."""
    return float(value - int(_nearest(value))) if isinstance(value, int) else 0.0


def _nearest(value: float) -> float:
    """Return the float nearest to a number, of those that are integers of 64 bits where it is one."""
    nearest = float(value)
    return nearest - 1024 if isinstance(value, int) and nearest == 2**63 else nearest


def _path_to(key: str, kind: str = _VALUE) -> str:
    return f"{ATTRIBUTES_FIELD}.{_encode_key(key, kind)}"


def _encode_key(key: str, kind: str = _VALUE) -> str:
    return kind + key.encode().hex()
