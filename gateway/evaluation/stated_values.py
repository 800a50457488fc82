"""Values that an answer states, held against texts; and other values of the same kind in their place."""

import re
from collections.abc import Sequence

from gateway.evaluation.unspaced_scripts import mark_letters
from gateway.evaluation.values import TextValues, Value, find_values

__all__ = ["change_value", "list_unsupported", "list_values", "replace_value"]

_DIGITS = re.compile(r"\d+")
_SEPARATED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def list_values(text: str) -> list[Value]:
    """List the values that a text states, each once, in their order."""
    return list({value.readings: value for value in find_values(text)}.values())


def list_unsupported(answer: str, sources: Sequence[str]) -> list[Value]:
    """List the values of an answer that stand in none of its sources: passages, and the rest of its prompt."""
    evidence = [TextValues.of(source) for source in sources]
    return [value for value in list_values(answer) if not any(one.states(value) for one in evidence)]


def change_value(text: str) -> str:
    """Return another value of the same kind, as it is written: its first number, changed, with as many digits.

    A value without a digit stays as it is.
    """
    plain = _SEPARATED.sub("", text)
    match = _DIGITS.search(plain)
    if match is None:
        return text
    number = match.group()
    other = number[:-1] + str((int(number[-1]) + 3) % 10 or 4)
    return text.replace(number, other, 1) if number in text else plain.replace(number, other, 1)


def replace_value(text: str, value: str, other: str) -> str:
    """Put another value in the place of each whole occurrence of one."""
    pattern = rf"(?<![\w.]){re.escape(mark_letters(value))}(?!\w|[.,]\d)"
    for match in reversed(list(re.finditer(pattern, mark_letters(text)))):
        text = f"{text[: match.start()]}{other}{text[match.end() :]}"
    return text
