"""Places in a text, such as `{{ item.question }}`, that stand for a row's or an answer's values.

Nothing in a template is run: a place is a path of names and numbers, and what is put there isn't looked at again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from gateway.errors import BadRequest

__all__ = ["NAMESPACES", "UnknownPlace", "check_place", "check_template", "read_place", "render"]

NAMESPACES = ("item", "sample")
_MOST_CHARACTERS = 1_000_000
_MOST_OF_A_PLACE = 500
_PLACE = re.compile(rf"\{{\{{(.{{0,{_MOST_OF_A_PLACE}}}?)\}}\}}", re.DOTALL)
_NAME = r"[^\W\d][\w-]*"
_STEP = re.compile(
    rf"\.\s*(?P<name>{_NAME})\s*|\[\s*(?:(?P<number>\d{{1,9}})|'(?P<one>[^']*)'|\"(?P<two>[^\"]*)\")\s*\]\s*"
)
_ROOT = re.compile(rf"\s*(?P<name>{_NAME})\s*")


class UnknownPlace(Exception):
    """A template names something that this row or its answer doesn't have; the message is for the run's owner."""


def check_template(text: str, param: str, namespaces: Sequence[str] = NAMESPACES) -> None:
    """Check that each place in a text can be read; `namespaces` are those that there will be values of.

    Raises:
        BadRequest: One is no path, begins with another name, or has no end.
    """
    for match in _PLACE.finditer(text):
        check_place(match[1], param, namespaces)
    _, mark, rest = _PLACE.sub(" ", text).partition("{{")
    if mark:
        raise BadRequest(
            f"The place that begins with {(mark + rest)[:80]!r} has no end. Close it with '}}}}' within "
            f"{_MOST_OF_A_PLACE} characters, as in {{{{ item.question }}}}.",
            param=param,
            code="invalid_template",
        )


def check_place(place: str, param: str, namespaces: Sequence[str] = NAMESPACES) -> None:
    """Check one path, such as `item.messages`.

    Raises:
        BadRequest: It is none, or begins with a name that isn't among the `namespaces`.
    """
    steps = _parse(place)
    if steps is not None and steps[0] in namespaces:
        return
    if steps is not None and steps[0] in NAMESPACES:
        raise BadRequest(
            f"The place {place.strip()[:80]!r} can't be filled: the model is asked by this text, so there is no answer "
            "of it yet. Name a place in the row, such as {{ item.question }}.",
            param=param,
            code="invalid_template",
        )
    raise BadRequest(
        f"The place {place.strip()[:80]!r} can't be filled. Templates have paths only, from 'item' (a row of the data) "
        "or 'sample' (the model's answer), such as {{ item.question }} or {{ sample.output_text }}; nothing in them is "
        "run, so there are no filters, calls or conditions.",
        param=param,
        code="invalid_template",
    )


def render(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its places filled: text as it is, everything else as JSON.

    Raises:
        UnknownPlace: Something isn't there, or the text becomes too long.
    """
    prompt = _PLACE.sub(lambda match: _write(read_place(match[1], values)), text)
    if len(prompt) > _MOST_CHARACTERS:
        raise UnknownPlace(f"A template becomes longer than {_MOST_CHARACTERS:,} characters with this row.")
    return prompt


def read_place(place: str, values: Mapping[str, Any]) -> Any:
    """Return the value that a path leads to.

    Raises:
        UnknownPlace: It leads nowhere.
    """
    value: Any = values
    for step in _parse(place) or (place,):
        if isinstance(value, dict | Mapping) and step in value:
            value = cast("Mapping[Any, Any]", value)[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[step]
        else:
            raise UnknownPlace(f"The place {place.strip()[:80]!r} isn't there: there is no {step!r} in this row.")
    return value


def _write(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _parse(place: str) -> tuple[str | int, ...] | None:
    """Return the steps of a path; None where it is none."""
    root = _ROOT.match(place)
    if root is None:
        return None
    steps: list[str | int] = [root["name"]]
    at = root.end()
    for step in _steps(place, at):
        at = step.end()
        steps.append(int(step["number"]) if step["number"] else step["name"] or step["one"] or step["two"] or "")
    return tuple(steps) if at == len(place) else None


def _steps(place: str, at: int) -> Iterator[re.Match[str]]:
    while (step := _STEP.match(place, at)) is not None:
        yield step
        at = step.end()
