"""The errors of a route, as the OpenAPI shows them: one envelope for all, OpenAI's."""

from typing import Any

from pydantic import BaseModel

__all__ = ["SCHEMAS", "declare_errors", "declare_errors_without_key"]


class ErrorDetail(BaseModel):
    """`code` is the reason for a program, `param` the field or path that is at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """OpenAI's error envelope."""

    error: ErrorDetail


_ENVELOPE = ErrorResponse.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = {**_ENVELOPE.pop("$defs"), "ErrorResponse": _ENVELOPE}
_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
"""The content of every error. A `model` for each would have the framework build a validator for each status of each
route, 1,400 of them, in half a second of every start.
"""
_RETRY_AFTER = {"retry-after": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
_DESCRIPTIONS = {
    400: "The request can't be used; `param` says which part of it.",
    401: "There is no key, or it isn't known, or it was revoked.",
    403: "The key lacks the scope that this call needs.",
    404: "There is no such thing, or it is another tenant's.",
    409: "The name is taken, the thing is in use, or somebody else changed it first.",
    413: "The body is too large.",
    415: "The body has a content-encoding, which isn't taken.",
    429: "The tenant has as many of these as it may; some have to end first.",
    500: "Something failed that shouldn't have; it was logged.",
    502: "The model server's answer can't be used.",
    503: "A part that the answer needs isn't there now.",
    504: "The model server took too long.",
    507: "The disk of the server is full, or nearly so.",
}
_ANYWHERE = (400, 413, 415, 500)
_WITH_KEY = (*_ANYWHERE, 401, 403, 503, 507)


def declare_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a router's `responses`: the errors of every route that takes a key, these, and the envelope for any other.

    That last one keeps the framework from listing its own 422, which no route here answers.
    """
    return _declare({*_WITH_KEY, *statuses})


def declare_errors_without_key(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a router whose routes take no key: the errors of every route, these, and any other."""
    return _declare({*_ANYWHERE, *statuses})


def _declare(statuses: set[int]) -> dict[int | str, dict[str, Any]]:
    declared: dict[int | str, dict[str, Any]] = {
        status: {"description": _DESCRIPTIONS[status], "content": _CONTENT} for status in sorted(statuses)
    }
    if 503 in declared:
        declared[503]["headers"] = _RETRY_AFTER
    return {**declared, "default": {"description": "Any other error.", "content": _CONTENT}}
