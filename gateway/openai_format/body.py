"""Fields and decoding that the bodies of chat and of Responses share."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

from gateway.errors import BAD_JSON, BadRequest

__all__ = ["MAX_NAME", "Metadata", "ModelName", "Name", "decode_body", "find_conversation"]

MAX_NAME = 255

Name = Annotated[str, Meta(max_length=MAX_NAME)]
ModelName = Annotated[str, Meta(max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]

Body = TypeVar("Body")

_WHERE = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_HALF_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_BYTE = re.compile(r"\(byte (?P<at>\d+)\)$")
_NO_NUMBERS = (b"NaN", b"Infinity")
_STEP = re.compile(r"[^.\[\]]+")
_CHOICE = re.compile(r"Invalid enum value (?P<value>.*?) - at ", re.DOTALL)
_MOST_EXACT = 2**53
_MISSING = re.compile(r"missing required field `(\w+)`")


def decode_body(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    """Decode a request's body. A whole number may be written as `100.0`, as languages with one kind of numbers do.

    Raises:
        BadRequest: Not JSON, or a field is missing, has the wrong type or is beyond a bound (`param` names it).
    """
    body = body.removeprefix(BOM_UTF8)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        problem = error
    except RecursionError:
        raise BadRequest(
            "The body has too many objects or lists within each other to be read. Send it less deep.",
            code="invalid_json",
        ) from None
    except BAD_JSON as error:
        raise BadRequest(_explain_unreadable(body, error), code="invalid_json") from None
    members = msgspec.json.decode(body) if "got `float`" in str(problem) else None
    if not isinstance(members, dict):
        raise _explain(problem, decoder.type)
    try:
        return msgspec.convert(_with_whole_numbers(cast("dict[str, Any]", members)), decoder.type)
    except msgspec.ValidationError as error:
        raise _explain(error, decoder.type) from None


def find_conversation(cache_key: str | None, metadata: Mapping[str, str] | None) -> str | None:
    """Return the key that a client gives all questions of one conversation; None where it gives none."""
    return cache_key or (metadata or {}).get("conversation_id") or None


def _with_whole_numbers(members: dict[str, Any]) -> dict[str, Any]:
    return {name: _to_whole(value) if isinstance(value, float) else value for name, value in members.items()}


def _to_whole(number: float) -> float | int:
    return int(number) if number.is_integer() and abs(number) <= _MOST_EXACT else number


def _explain_unreadable(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "The request has no body. Send a JSON object."
    if body[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) or b"\0" in body[:4]:
        return "The body is in UTF-16 or UTF-32. JSON is sent in UTF-8."
    if (half := _HALF_PAIR.search(body)) is not None:
        return (
            f"The body isn't valid JSON: {half[0].decode()} is half of a character, as is left where a text is cut "
            "inside an emoji. Cut it between characters."
        )
    if isinstance(error, UnicodeDecodeError):
        return (
            f"The body isn't in UTF-8 (it has the byte {error.object[error.start]:#x} where none can be). Send UTF-8."
        )
    place = _BYTE.search(str(error))
    if place is not None and body.startswith(_NO_NUMBERS, int(place["at"])):
        return f"The body isn't valid JSON: {error}. JSON has no NaN and no Infinity. Send a number, or leave it out."
    return f"The body isn't valid JSON: {error}."


def _explain(error: msgspec.ValidationError, kind: Any) -> BadRequest:
    message = str(error)
    where = _WHERE.search(message)
    missing = _MISSING.search(message)
    if where is None:
        return BadRequest(f"The request can't be used: {message}.", param=missing and missing.group(1))
    path = where["path"].replace("[...]", "")
    if missing is not None:
        path = f"{path}.{missing.group(1)}"
    if (choice := _CHOICE.match(message)) is not None:
        choices = ", ".join(_list_choices(kind, path))
        return BadRequest(f"{choice['value']} can't be {path!r}. Use one of {choices}.", param=path)
    if "matching regex" in message:  # the one that a model's name has
        return BadRequest(
            f"{path!r} has a control character, such as the end of a line, which no name has. Leave it out.", param=path
        )
    return BadRequest(f"{message[: where.start()]} at {path!r}.", param=path)


def _list_choices(kind: Any, path: str) -> list[str]:
    """Return the values that may stand at a path of a body of this kind."""
    nodes: list[Any] = [msgspec.inspect.type_info(kind)]
    for step in _STEP.findall(path):
        nodes = [inner for node in nodes for inner in _list_inner(node, step)]
    return [str(value) for node in nodes if isinstance(node, msgspec.inspect.LiteralType) for value in node.values]


def _list_inner(node: Any, step: str) -> list[Any]:
    """Return the types that a step of a path may lead to."""
    if isinstance(node, msgspec.inspect.StructType):
        inner = [field.type for field in node.fields if field.encode_name == step]
    elif isinstance(node, msgspec.inspect.ListType):
        inner = [node.item_type]
    else:
        inner = []
    return [one for each in inner for one in (each.types if isinstance(each, msgspec.inspect.UnionType) else [each])]
