"""Requests that FastAPI can't read or that don't have their route's form, as our errors."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.errors import BadRequest, write_path
from gateway.web.known_members import list_members

__all__ = ["explain_invalid", "explain_unreadable"]

_OWN_CHECK = "Value error, "  # pydantic's words before what a check of ours says
_INPUT_SHOULD_BE = "Input should be "
_FIRST = "and begins with a letter or a digit"
_FORMS = {
    "^[a-z0-9][a-z0-9_-]{0,62}$": f"It has 1 to 63 small letters, digits, '_' and '-', {_FIRST}",
    "^[a-z0-9][a-z0-9._-]{0,62}$": f"It has 1 to 63 small letters, digits, '.', '_' and '-', {_FIRST}",
    "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$": f"It has 1 to 63 letters of a to z, digits, '.', '_' and '-', {_FIRST}",
    "^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}|ft:[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,250})$": (
        f"It has 1 to 63 letters of a to z, digits, '.', '_' and '-', {_FIRST}; behind 'ft:' it may have 251, and ':'"
    ),
    "^[0-9a-fA-F]{32}$": "An MD5 has 32 hexadecimal digits",
    r"^(https?://[^\s()<>]+)?$": "It is a URL that begins with http:// or https://",
    r"^[^\x00-\x1f\x7f]*$": "It has a control character, such as the end of a line. Leave it out",
}
"""By the patterns of members, in words, what a value has to be."""


def explain_invalid(error: RequestValidationError, form: object = None) -> BadRequest:
    """Return the error of a request without its route's form; `param` is the field as the request has it.

    Args:
        error: FastAPI's.
        form: The annotation of the route's body, where it has one: what it names is told where a name is unknown.
    """
    problems: Sequence[Mapping[str, Any]] = error.errors()
    first = problems[0]
    if first["type"] == "json_invalid":
        return BadRequest(f"The body isn't valid JSON: {first['ctx']['error']}.", code="invalid_json")
    if tuple(first["loc"]) == ("body",):
        if error.body is None:
            return BadRequest("The request has no body. Send a JSON object.", code=str(first["type"]))
        if isinstance(error.body, bytes):
            return BadRequest(
                "The body isn't sent as JSON. Send a JSON object, with the header content-type: application/json.",
                code="unsupported_content_type",
            )
    paths = [_path(problem, error.body) for problem in problems]
    rivals = [
        (path, problem)
        for path, problem in zip(paths, problems, strict=True)
        if path[: len(paths[0])] == paths[0] and problem["loc"][0] == first["loc"][0]
    ]
    path, best = max(rivals, key=lambda rival: (not _is_of_another_kind(rival[1]), len(rival[0])))
    if str(best["type"]).startswith("union_tag_"):
        return _explain_tag(best, path)
    message = str(best["msg"]).removeprefix(_OWN_CHECK)
    if best["type"] == "string_pattern_mismatch":
        message = _FORMS.get(best["ctx"]["pattern"], message)
    if _is_of_another_kind(best):  # then no branch of a union is nearer to what was meant than the others
        kinds = dict.fromkeys(str(one["msg"]).removeprefix(_INPUT_SHOULD_BE) for where, one in rivals if where == path)
        message = f"{_INPUT_SHOULD_BE}{' or '.join(kinds)}" if len(kinds) > 1 else message
    if best["type"] == "extra_forbidden" and best["loc"][-1] not in path[-1:]:  # a branch is called as a member of it
        path = (*path[:-1], best["loc"][-1])
    param = write_path(path) or None
    if best["type"] == "extra_forbidden" and (members := list_members(form, best["loc"][1:-1])):
        place = f" in {write_path(path[:-1])!r}" if path[1:] else ""
        message = f"'{path[-1]}' isn't known{place}. Known are {', '.join(members)}."
        return BadRequest(message, param=param, code=str(best["type"]))
    return BadRequest(f"{message}{f' at {param!r}' if param else ''}.", param=param, code=str(best["type"]))


def explain_unreadable(error: HTTPException) -> BadRequest | None:
    """Return the error of a body that was refused, or given up on by Python's JSON parser; None where neither was."""
    cause = error.__cause__
    if isinstance(cause, BadRequest):
        return cause
    if error.status_code != 400 or not isinstance(cause, ValueError | RecursionError):
        return None
    return BadRequest(f"The body isn't valid JSON: {cause}.", code="invalid_json")


def _explain_tag(problem: Mapping[str, Any], path: tuple[str | int, ...]) -> BadRequest:
    """Return the error of an object without the member that says which of several kinds it is, or with another's."""
    context = problem["ctx"]
    member = str(context["discriminator"]).strip("'")
    place = write_path(path)
    param = f"{place}.{member}" if place else member
    if problem["type"] == "union_tag_not_found":
        name = "missing"  # pydantic's own, as for any other member
        return BadRequest(f"Field required at {param!r}.", param=param, code=name)
    tag, tags = str(context["tag"])[:80], str(context["expected_tags"]).replace("'", "")
    where = f"{place!r}" if place else "the body"
    message = f"{tag!r} isn't known as the {member!r} of {where}. Known are {tags}."
    return BadRequest(message, param=param, code=str(problem["type"]))


def _is_of_another_kind(problem: Mapping[str, Any]) -> bool:
    """Tell whether the value isn't what a union's branch takes at all, rather than beyond one of its bounds."""
    kind: str = problem["type"]
    return kind.endswith("_type") or kind == "literal_error"


def _path(problem: Mapping[str, Any], body: object) -> tuple[str | int, ...]:
    """Return the place of a problem as the request names it: without the names that pydantic gives to branches."""
    place, *steps = cast("Sequence[str | int]", problem["loc"])
    if place != "body":
        return tuple(steps)
    path: list[str | int] = []
    node = body
    for number, step in enumerate(steps, 1):
        if isinstance(node, dict):
            members = cast("dict[str | int, Any]", node)
            if step in members:
                node = members[step]
            elif number < len(steps) or problem["type"] != "missing":
                continue
        elif isinstance(node, list) and isinstance(step, int):
            node = cast("list[Any]", node)[step]
        else:
            continue
        path.append(step)
    return tuple(path)
