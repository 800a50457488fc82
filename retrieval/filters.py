"""OpenAI's attribute filters → conditions that run inside the index."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from retrieval.errors import InvalidFilter
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not
from retrieval.messages import Attribute

__all__ = ["ATTRIBUTES_FIELD", "compile_filter", "encode_attributes"]

ATTRIBUTES_FIELD = "where"
"""Payload field that holds the attributes in the form that filters match."""

_DEPTH = 8
_PARTS = 100
_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")


def encode_attributes(attributes: Mapping[str, Attribute]) -> dict[str, str | float]:
    """Give attributes the form that compiled filters match.

    Keys become hexadecimal, since the engines read `.`, `[` and `"` in a key as a path. Strings and booleans become
    tagged strings, so that "true" isn't True; numbers stay, so that ranges work.
    """
    return {_encode_key(key): _encode_value(value) for key, value in attributes.items()}


def compile_filter(filters: Mapping[str, Any]) -> Condition:
    """Compile a comparison or compound filter. `ne` and `nin` also hold for documents without the attribute.

    Raises:
        InvalidFilter: It isn't one; the message names the part that is wrong.
    """
    return _compile(filters, "filters", _DEPTH)


def _compile(node: object, where: str, depth: int) -> Condition:
    if not isinstance(node, Mapping):
        raise InvalidFilter(f"{where} is not an object. Send {{'type': 'eq', 'key': …, 'value': …}} or 'and'/'or'.")
    if depth == 0:
        raise InvalidFilter(f"{where} is nested deeper than {_DEPTH} levels. Flatten it.")
    node = cast("Mapping[str, Any]", node)
    kind = node.get("type")
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
    if not isinstance(key, str) or not key:
        raise InvalidFilter(f"{where}.key must be the name of an attribute.")
    return _compile_comparison(kind, _encode_key(key), node.get("value"), where)


def _compile_comparison(kind: str, field: str, value: object, where: str) -> Condition:
    path = f"{ATTRIBUTES_FIELD}.{field}"
    match kind:
        case "eq":
            return _match_value(path, _check_value(value, where))
        case "ne":
            return Not(_match_value(path, _check_value(value, where)))
        case "in" | "nin":
            if not isinstance(value, list) or not 0 < len(cast("list[Any]", value)) <= _PARTS:
                raise InvalidFilter(f"{where}.value must be a list of 1 to {_PARTS} values for '{kind}'.")
            among = _match_any(path, [_check_value(item, where) for item in cast("list[Any]", value)])
            return among if kind == "in" else Not(among)
        case _:
            number = _check_value(value, where)
            if isinstance(number, bool | str):
                raise InvalidFilter(f"{where}.value must be a number for '{kind}'; strings have no order here.")
            return Between(path, **{kind: number})


def _match_any(path: str, values: Sequence[Attribute]) -> Condition:
    words = tuple(_encode_word(value) for value in values if isinstance(value, bool | str))
    numbers = [_match_value(path, value) for value in values if not isinstance(value, bool | str)]
    return AnyOf((*([Match(path, words)] if words else []), *numbers))


def _match_value(path: str, value: Attribute) -> Condition:
    if isinstance(value, bool | str):
        return Match(path, (_encode_word(value),))
    return Between(path, gte=value, lte=value)


def _check_value(value: object, where: str) -> Attribute:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise InvalidFilter(f"{where}.value must be a string, a number or a boolean, not {type(value).__name__}.")


def _encode_value(value: Attribute) -> str | float:
    return _encode_word(value) if isinstance(value, bool | str) else float(value)


def _encode_word(value: bool | str) -> str:
    return f"b:{value}" if isinstance(value, bool) else f"s:{value}"


def _encode_key(key: str) -> str:
    return "k" + key.encode().hex()
