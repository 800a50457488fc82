"""Strict validation of a raw answer against a response model of the `openai` package.

The client builds its models without validating, so that an answer with a wrong type or without a required member passes
unseen. Here the raw JSON is walked beside the model's annotations: every required member is there, every member is
known or one of `EXTRAS`, and every type is right (no number for a string, no null where there must be something).
"""

import json
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

__all__ = ["EXTRAS", "decode", "find_problems"]

# Members that Braid adds to OpenAI's objects; docs/api.md lists them.
EXTRAS: dict[str, frozenset[str]] = {
    "ChatCompletion": frozenset({"braid"}),
    "ChatCompletionChunk": frozenset({"braid"}),
    "ChatCompletionMessage": frozenset({"reasoning"}),
    "ChoiceDelta": frozenset({"annotations", "reasoning"}),
    "FineTuningJob": frozenset({"braid", "suffix"}),
    "Metrics": frozenset(
        {"train_reward_accuracy", "train_reward_margin", "valid_reward_accuracy", "valid_reward_margin"}
    ),
    "Response": frozenset({"braid"}),
    "VectorStore": frozenset({"description"}),
    "VectorStoreFile": frozenset({"warnings"}),
}
# OpenAI's published description has these; the package's models don't name them, since it never reads them.
_PUBLISHED = {
    "ResponseFunctionCallArgumentsDoneEvent": frozenset({"name"}),
    "SyncCursorPage": frozenset({"object", "first_id", "last_id"}),
    "SyncPage[FileContentResponse]": frozenset({"has_more", "next_page"}),
    "SyncPage[VectorStoreSearchResponse]": frozenset({"search_query", "has_more", "next_page"}),
}
# OpenAI's published examples have null here, where the package's models say that something stands.
_NULLS = {
    **dict.fromkeys(
        ("RunCreateResponse", "RunRetrieveResponse", "RunListResponse", "RunCancelResponse"), frozenset({"error"})
    ),
    "Sample": frozenset({"error"}),
}
_SCALARS: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}


def decode(text: str) -> Any:
    """Parse JSON as the standard has it: no `NaN`, and no member twice."""
    return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    assert len(members) == len(pairs), f"a member stands twice: {[name for name, _ in pairs]}"
    return members


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def find_problems(annotation: Any, value: Any, path: str = "") -> list[str]:
    """Return what differs from the annotation, each with the path to it; empty where nothing does."""
    origin = get_origin(annotation)
    if annotation in (Any, object):
        return []
    if origin is Annotated:
        return find_problems(get_args(annotation)[0], value, path)
    if origin in (Union, types.UnionType):
        return _closest([find_problems(member, value, path) for member in get_args(annotation)])
    if origin is Literal:
        return [] if value in get_args(annotation) else [f"{path}: {value!r} is none of {get_args(annotation)}"]
    if origin is list:
        return _list(get_args(annotation)[0], value, path)
    if origin is dict:
        return _dict(get_args(annotation)[1], value, path)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation, value, path)
    if annotation in (None, type(None)):
        return [] if value is None else [f"{path}: {value!r} is not null"]
    known = _SCALARS[annotation]
    # For Python a bool is an int, for JSON it isn't.
    right = isinstance(value, known) and (bool in known or not isinstance(value, bool))
    return [] if right else [f"{path}: {value!r} is no {annotation.__name__}"]


def _closest(attempts: list[list[str]]) -> list[str]:
    return min(attempts, key=len)


def _list(item: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: {value!r} is no list"]
    return [problem for at, one in enumerate(value) for problem in find_problems(item, one, f"{path}[{at}]")]


def _dict(item: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    return [problem for name, one in value.items() for problem in find_problems(item, one, f"{path}.{name}")]


def _model(model: type[BaseModel], value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {model.__name__}"]
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    allowed = fields.keys() | _extras(model)
    problems = [f"{path}: {model.__name__} has no member {name!r}" for name in value if name not in allowed]
    for name, field in fields.items():
        if name in value and value[name] is None and name in _NULLS.get(model.__name__, ()):
            continue
        if name in value:
            problems += find_problems(field.annotation, value[name], f"{path}.{name}")
        elif field.is_required():
            problems.append(f"{path}: {name!r} is missing in {model.__name__}")
    return problems


def _extras(model: type[BaseModel]) -> frozenset[str]:
    name = model.__name__
    return EXTRAS.get(name) or _PUBLISHED.get(name) or _PUBLISHED.get(name.partition("[")[0]) or frozenset()
