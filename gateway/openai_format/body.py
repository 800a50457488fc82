"""Fields and decoding that the bodies of chat and of Responses share."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Annotated, TypeVar

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
_MISSING = re.compile(r"missing required field `(\w+)`")


def decode_body(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    """Decode a request's body.

    Raises:
        BadRequest: Not JSON, or a field is missing, has the wrong type or is beyond a bound (`param` names it).
    """
    try:
        return decoder.decode(body.removeprefix(BOM_UTF8))
    except msgspec.ValidationError as error:
        raise _explain(error) from None
    except BAD_JSON as error:
        raise BadRequest(f"The body isn't valid JSON: {error}.", code="invalid_json") from None


def find_conversation(cache_key: str | None, metadata: Mapping[str, str] | None) -> str | None:
    """Return the key that a client gives all questions of one conversation; None where it gives none."""
    return cache_key or (metadata or {}).get("conversation_id") or None


def _explain(error: msgspec.ValidationError) -> BadRequest:
    message = str(error)
    where = _WHERE.search(message)
    missing = _MISSING.search(message)
    if where is None:
        return BadRequest(f"The request can't be used: {message}.", param=missing and missing.group(1))
    path = where["path"].replace("[...]", "")
    if missing is not None:
        path = f"{path}.{missing.group(1)}"
    return BadRequest(f"{message[: where.start()]} at {path!r}.", param=path)
