"""Bounds on what a client may have an engine compile or look up: formats, tools, schemas, biases.

Engines turn a schema into a grammar before they answer. That takes time and memory without a bound of their own, on the
thread that serves everybody, and regular expressions are the worst of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from gateway.errors import BadRequest
from gateway.openai_format.schema_formats import drop_said_patterns, is_pattern_said
from gateway.openai_format.schema_references import find_endless_reference
from gateway.openai_format.schema_repeats import DATA, NAME_MEMBERS, REPEATS, count_repeats

__all__ = [
    "MAX_BIASES",
    "MAX_REPEATS",
    "MAX_REPEATS_IN_ALL",
    "MAX_SCHEMA_BYTES",
    "MAX_SCHEMA_DEPTH",
    "MAX_TOOLS",
    "check_biases",
    "check_callable",
    "check_format",
    "check_tools",
]

MAX_BIASES = 1024
MAX_TOOLS = 128
MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 32
MAX_REPEATS = 10_000
"""The largest length, number of items or of properties that a schema may name: engines unroll them."""
MAX_REPEATS_IN_ALL = 1_000_000
"""The largest product of those within each other, with those beside each other added up."""

_NAME_CHARACTERS = 64
_DESCRIPTION_CHARACTERS = 8192
_BIAS_DIGITS = 9
_FORMATS = ("text", "json_object", "json_schema")
_CHOICES = ("none", "auto", "required")
_REGULAR = frozenset({"pattern", "patternProperties"})


def check_biases(biases: Mapping[str, float] | None) -> None:
    """Check `logit_bias`: at most 1,024 token ids, each with a bias of -100 to 100.

    Raises:
        BadRequest: It isn't so.
    """
    if not biases:
        return
    if len(biases) > MAX_BIASES:
        raise BadRequest(f"logit_bias has more than {MAX_BIASES} tokens.", param="logit_bias")
    for token, bias in biases.items():
        if not (token.isascii() and token.isdigit() and len(token) <= _BIAS_DIGITS):
            raise BadRequest(f"logit_bias has the key {token[:50]!r}, which is no token's number.", param="logit_bias")
        if not -100 <= bias <= 100:
            raise BadRequest(f"The bias of token {token} isn't from -100 to 100.", param="logit_bias")


def check_format(form: Mapping[str, Any] | None, *, grammars: bool) -> dict[str, Any] | None:
    """Check `response_format`, and return its known members.

    Args:
        form: As it came.
        grammars: The operator lets clients give engines grammars of any kind: what isn't OpenAI's passes as it is.

    Raises:
        BadRequest: It is of another type than text, json_object and json_schema, or its schema is beyond a bound.
    """
    if form is None:
        return None
    kind = form.get("type")
    if kind not in _FORMATS:
        if grammars and isinstance(kind, str):
            _check_size(form, "response_format")
            return dict(form)
        raise BadRequest(
            f"response_format has the type {str(kind)[:50]!r}. Use one of {', '.join(_FORMATS)}.",
            param="response_format.type",
            code="unsupported_format",
        )
    if kind != "json_schema":
        return {"type": kind}
    where = "response_format.json_schema"
    inner = _object(form.get("json_schema"), where)
    _check_name(inner, where)
    if "schema" not in inner:
        raise BadRequest(f"{where} has no schema.", param=f"{where}.schema")
    schema = check_schema(
        _object(inner["schema"], f"{where}.schema"), f"{where}.schema", regular=grammars, compiled=True
    )
    members = ("name", "description", "schema", "strict")
    return {"type": kind, "json_schema": {name: inner[name] for name in members if name in inner} | {"schema": schema}}


def check_tools(
    tools: list[dict[str, Any]] | None, choice: str | Mapping[str, Any] | None, *, grammars: bool
) -> list[dict[str, Any]] | None:
    """Check `tools` and `tool_choice`, and return the tools' known members; None where there are no tools.

    Raises:
        BadRequest: There are more than 128, one is no function, its name can't be one, its schema is beyond a bound, or
            a call is asked for that can't be made.
    """
    forced = _check_choice(choice)
    if tools and len(tools) > MAX_TOOLS:
        raise BadRequest(f"There are more than {MAX_TOOLS} tools.", param="tools")
    functions = [_check_tool(tool, f"tools[{index}]", forced, grammars) for index, tool in enumerate(tools or ())]
    if forced:
        check_callable(choice, [tool["function"]["name"] for tool in functions])
    return functions or None


def check_callable(choice: str | Mapping[str, Any] | None, names: Sequence[str]) -> None:
    """Check that the call that `tool_choice` forces can be made.

    Raises:
        BadRequest: There are no tools, or the one that it names isn't among them.
    """
    if not names:
        raise BadRequest("tool_choice asks for a call, and there are no tools.", param="tool_choice")
    name = None if choice is None or isinstance(choice, str) else choice["function"]["name"]
    if name is not None and name not in names:
        raise BadRequest(f"tool_choice names {name[:50]!r}, which isn't one of the tools.", param="tool_choice")


def _check_choice(choice: str | Mapping[str, Any] | None) -> bool:
    """Tell whether a call is forced: then the engine compiles the schemas."""
    if choice is None or isinstance(choice, str):
        if choice is not None and choice not in _CHOICES:
            raise BadRequest(f"tool_choice is {choice[:50]!r}. Use one of {', '.join(_CHOICES)}.", param="tool_choice")
        return choice == "required"
    function = choice.get("function")
    name = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else None
    if choice.get("type") != "function" or not isinstance(name, str):
        raise BadRequest('tool_choice has to name a function: {"type": "function", …}.', param="tool_choice")
    return True


def _check_tool(tool: Mapping[str, Any], where: str, forced: bool, grammars: bool) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise BadRequest(
            f"A tool has the type {str(tool.get('type'))[:50]!r}, and only functions can be called. Send it as a "
            "function, whose parameters say what it takes.",
            param=f"{where}.type",
            code="unsupported_format",
        )
    function = _object(tool.get("function"), f"{where}.function")
    _check_name(function, f"{where}.function")
    members = ("name", "description", "parameters", "strict")
    copy = {name: function[name] for name in members if name in function}
    parameters = function.get("parameters")
    if parameters is not None:
        param = f"{where}.function.parameters"
        compiled = forced or bool(function.get("strict"))
        copy["parameters"] = check_schema(_object(parameters, param), param, regular=grammars, compiled=compiled)
    return {"type": "function", "function": copy}


def check_schema(schema: dict[str, Any], param: str, *, regular: bool, compiled: bool) -> dict[str, Any]:
    """Check a JSON schema, and return it as engines get it: without a pattern that a format beside it says.

    Args:
        schema: It.
        param: Where it stands in the request.
        regular: Regular expressions may be in it.
        compiled: The engine makes a grammar of it, and doesn't only show it to the model.

    Raises:
        BadRequest: It is too large or too deep, or has what can't be compiled in bounded time.
    """
    _check_size(schema, param)
    parts: list[dict[str, Any]] = []
    level: list[tuple[Any, bool]] = [(schema, False)]
    for _ in range(MAX_SCHEMA_DEPTH):
        below: list[tuple[Any, bool]] = []
        for node, names in level:
            if isinstance(node, list):
                below += [(inner, False) for inner in cast("list[Any]", node)]
            elif isinstance(node, dict):
                members = cast("dict[str, Any]", node)
                if not names:
                    parts.append(members)
                    _check_keywords(members, param, regular=regular, compiled=compiled)
                below += [
                    (inner, not names and key in NAME_MEMBERS)
                    for key, inner in members.items()
                    if key not in DATA or names
                ]
        if not below:
            break
        level = below
    else:
        raise BadRequest(
            f"A schema is nested deeper than {MAX_SCHEMA_DEPTH} levels.", param=param, code="schema_too_large"
        )
    if compiled and count_repeats(schema, MAX_REPEATS_IN_ALL) > MAX_REPEATS_IN_ALL:
        raise BadRequest(
            f"A schema's lengths and counts make more than {MAX_REPEATS_IN_ALL:,} parts: those within each other "
            "multiply. Give smaller ones, or leave some out.",
            param=param,
            code="schema_too_large",
        )
    if compiled and (reference := find_endless_reference(schema, parts)) is not None:
        raise BadRequest(
            f"A schema is itself again by its reference {reference[:50]!r}. Only its items and properties may be.",
            param=param,
            code="unsupported_format",
        )
    return drop_said_patterns(schema) if compiled and not regular else schema


def _check_keywords(members: Mapping[str, Any], param: str, *, regular: bool, compiled: bool) -> None:
    reference = members.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise BadRequest(
            f"A schema refers to {reference[:50]!r}; it may refer to its own parts only ('#/…').",
            param=param,
            code="unsupported_format",
        )
    if not compiled:
        return
    names = () if regular else sorted(_REGULAR & members.keys())
    if names and not (names == ["pattern"] and is_pattern_said(members)):
        raise BadRequest(
            f"A schema has {names[0]!r}, and regular expressions aren't taken here. Leave it out, or have the operator "
            "allow them (allow_grammars).",
            param=param,
            code="unsupported_format",
        )
    for name in REPEATS & members.keys():
        number = members[name]
        if not isinstance(number, int | float):
            continue
        if number < 0:
            raise BadRequest(f"A schema has {name!r} below 0.", param=param, code="unsupported_format")
        if number > MAX_REPEATS:
            raise BadRequest(
                f"A schema has {name!r} above {MAX_REPEATS}. Give a smaller one, or leave it out.",
                param=param,
                code="schema_too_large",
            )


def _check_size(schema: object, param: str) -> None:
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA_BYTES:
        raise BadRequest(
            f"A schema is larger than {MAX_SCHEMA_BYTES // 1024} KiB.", param=param, code="schema_too_large"
        )


def _check_name(members: Mapping[str, Any], where: str) -> None:
    name = members.get("name")
    allowed = isinstance(name, str) and name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    if not allowed or len(str(name)) > _NAME_CHARACTERS:
        raise BadRequest(
            f"A name has 1 to {_NAME_CHARACTERS} letters, digits, '_' and '-'.",
            param=f"{where}.name",
        )
    description = members.get("description")
    if description is not None and (not isinstance(description, str) or len(description) > _DESCRIPTION_CHARACTERS):
        raise BadRequest(
            f"A description is text of at most {_DESCRIPTION_CHARACTERS:,} characters.", param=f"{where}.description"
        )


def _object(value: object, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{param} has to be an object.", param=param)
    return cast("dict[str, Any]", value)
