"""The rows of a run: read from a file or the request, and held against the eval's schema."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from gateway.errors import BAD_JSON, BadRequest
from training.repeated_names import describe_repeated_name, find_repeated_name

__all__ = ["MOST_ITEMS", "DataItem", "check_item_schema", "check_items", "decode_items", "encode_items", "read_lines"]

MOST_ITEMS = 10_000
_MOST_ITEM_BYTES = 256 * 1024
_MOST_SCHEMA_BYTES = 64 * 1024
_MOST_SCHEMA_DEPTH = 32
_MOST_NAMED = 5  # rows that an error names
# Each may take time without a bound: a regular expression, or a comparison of every member with every other.
_UNBOUNDED = frozenset({"pattern", "patternProperties", "uniqueItems", "$dynamicRef"})
_NAMING = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_NO_OTHERS: Registry[Any] = Registry()


class DataItem(msgspec.Struct, frozen=True):
    """A row: the values that templates name, and an answer to it, where it has one already."""

    item: dict[str, Any]
    sample: dict[str, Any] | None = None


_items = msgspec.json.Decoder(list[DataItem])
_line = msgspec.json.Decoder(DataItem)


def encode_items(items: Sequence[DataItem]) -> bytes:
    return msgspec.json.encode(items)


def decode_items(data: bytes) -> list[DataItem]:
    return _items.decode(data)


def read_lines(data: bytes, name: str) -> list[DataItem]:
    """Read the rows of a JSONL file, each `{"item": {…}}` and maybe with a `sample`; empty lines are left out.

    Raises:
        BadRequest: A line is something else, or there are none or too many.
    """
    items: list[DataItem] = []
    faults: list[str] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = _line.decode(line)
        except BAD_JSON as error:
            faults.append(f"line {number}: {error}")
            continue
        if twice := find_repeated_name(line):
            faults.append(f"line {number}: {describe_repeated_name(twice)}")
        items.append(item)
        if len(items) > MOST_ITEMS:
            raise _refuse(f"{name} has more than {MOST_ITEMS:,} rows, the most of a run. Split it.")
    if faults:
        raise _refuse(f'{name} has lines that aren\'t {{"item": {{…}}}}: {_name_first(faults)}')
    if not items:
        raise _refuse(f"{name} has no rows.")
    return items


def check_item_schema(schema: Mapping[str, Any]) -> None:
    """Check the schema of an eval's rows.

    Raises:
        BadRequest: It is none, is too large, has what takes time without a bound, or is one that no row can keep to.
    """
    param = "data_source_config.item_schema"
    too_large = len(msgspec.json.encode(schema)) > _MOST_SCHEMA_BYTES
    if too_large or (keywords := _list_keywords(schema)) is None:
        raise BadRequest(
            f"The schema is larger than {_MOST_SCHEMA_BYTES // 1024} KiB, or deeper than {_MOST_SCHEMA_DEPTH} levels.",
            param=param,
            code="schema_too_large",
        )
    names = sorted(_UNBOUNDED & keywords)
    if names:
        raise BadRequest(
            f"The schema has {names[0]!r}, which can take any time to check. Leave it out.",
            param=param,
            code="unsupported_format",
        )
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        reason = error.message if isinstance(error, SchemaError) else "it is nested too deep"
        raise BadRequest(f"It is no JSON schema: {reason[:300]}", param=param, code="invalid_schema") from None
    types = schema.get("type", "object")
    if types != "object" and "object" not in (types if isinstance(types, list) else ()):
        raise BadRequest(
            f"The schema's type is {json.dumps(types)}, and rows are objects. Give it the type 'object'.",
            param=f"{param}.type",
            code="invalid_schema",
        )
    reference = _find_lost_reference(schema)
    if reference is not None:
        raise BadRequest(
            f"The schema refers to {reference[:200]!r}, which isn't in it, and nothing is fetched from elsewhere. Put "
            "it under '$defs', and refer to it as '#/$defs/NAME'.",
            param=param,
            code="invalid_schema",
        )
    try:
        Draft202012Validator(schema, registry=_NO_OTHERS).is_valid({})
    except RecursionError:
        raise BadRequest(
            "The schema refers to itself without an end, so no row can be held against it. Leave that '$ref' out.",
            param=param,
            code="invalid_schema",
        ) from None


def check_items(items: Sequence[DataItem], schema: Mapping[str, Any]) -> None:
    """Hold the rows against the eval's schema.

    Raises:
        BadRequest: Some don't keep to it, or are too large; the message has the first few, by number from 0.
    """
    # Without a registry it would fetch what a reference names from the network.
    validator = Draft202012Validator(schema, registry=_NO_OTHERS)
    faults = [f"row {number}: {fault}" for number, item in enumerate(items) for fault in _faults(validator, item)]
    if faults:
        raise _refuse(f"Rows don't keep to the eval's item_schema: {_name_first(faults)}")


def _faults(validator: Draft202012Validator, row: DataItem) -> Iterator[str]:
    if len(msgspec.json.encode(row)) > _MOST_ITEM_BYTES:
        yield f"it is larger than {_MOST_ITEM_BYTES // 1024} KiB"
        return
    try:
        error = next(iter(cast("Iterator[ValidationError]", validator.iter_errors(row.item))), None)
    except (Unresolvable, RecursionError):
        raise BadRequest(
            "The eval's item_schema refers to what isn't in it, or to itself without an end. Make another eval.",
            code="invalid_schema",
        ) from None
    if error is not None:
        yield f"{error.json_path.replace('$', 'item', 1)}: {error.message[:200]}"


def _find_lost_reference(schema: Mapping[str, Any]) -> str | None:
    """Return a reference in a schema to what isn't in it; None where there is none."""
    root = DRAFT202012.create_resource(schema)
    below = [(root, _NO_OTHERS.resolver_with_root(root))]
    while below:
        resource, resolver = below.pop()
        reference = resource.contents.get("$ref") if isinstance(resource.contents, dict) else None
        if reference is not None:
            try:
                resolver.lookup(reference)
            except (Unresolvable, ValueError, TypeError):  # the latter of a path through a text or number
                return reference
        below += [(one, resolver.in_subresource(one)) for one in resource.subresources()]
    return None


def _list_keywords(schema: Mapping[str, Any]) -> set[str] | None:
    """Return the keywords in a schema, without its properties' names; None where it is too deep."""
    keywords: set[str] = set()
    level: list[tuple[Any, bool]] = [(schema, False)]
    for _ in range(_MOST_SCHEMA_DEPTH):
        below: list[tuple[Any, bool]] = []
        for node, has_names in level:
            if isinstance(node, dict):
                members = cast("dict[str, Any]", node)
                keywords |= set() if has_names else members.keys()
                below += [(value, not has_names and name in _NAMING) for name, value in members.items()]
            elif isinstance(node, list):
                below += [(value, False) for value in cast("list[Any]", node)]
        if not below:
            return keywords
        level = below
    return None


def _name_first(faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
    return "; ".join(faults[:_MOST_NAMED]) + more


def _refuse(message: str) -> BadRequest:
    return BadRequest(message, param="data_source.source", code="invalid_items")
