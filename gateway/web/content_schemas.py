"""The answers of routes, as the OpenAPI shows them, where the framework doesn't encode them: msgspec's types, files,
streams and pages.
"""

from inspect import cleandoc
from typing import Any

import msgspec

__all__ = ["declare_content", "describe", "describe_answer"]

_TEXT = {"type": "string"}


def describe(*types: type) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return a reference to each type's JSON schema, and the schemas by name, as an OpenAPI takes them.

    The types are what the endpoint itself decodes and encodes with msgspec, so that they and the OpenAPI can't differ.
    """
    references, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    return references, schemas


def describe_answer(*types: type) -> tuple[list[dict[int | str, dict[str, Any]]], dict[str, Any]]:
    """Return the `responses` of a route for each type that it encodes itself, and the schemas by name."""
    references, schemas = describe(*types)
    return [declare_content("application/json", reference) for reference in references], schemas


def declare_content(
    media_type: str, schema: dict[str, Any] = _TEXT, description: str = "Successful Response", status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses` for a content that it encodes itself.

    Its `response_class` is the plain `Response` then: another one has a media type of its own, which the framework
    would list too, and for the errors as well.
    """
    return {status: {"description": description, "content": {media_type: {"schema": schema}}}}
