"""Names that stand twice in one object of JSON: readers take the last of both, and nothing says that it was meant."""

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["describe_repeated_name", "find_repeated_name", "may_repeat_names"]


class _RepeatedName(Exception):
    """Ends the reading at the first such name."""


def find_repeated_name(text: str | bytes) -> str | None:
    """Return the first name that an object of a JSON value says twice; None for what is no JSON, too.

    It takes as long as reading the value takes; see `may_repeat_names`.
    """
    try:
        _decoder.decode(text if isinstance(text, str) else text.decode())
    except _RepeatedName as error:
        return str(error)
    except (ValueError, RecursionError):
        return None
    return None


def may_repeat_names(line: bytes, quotes: int) -> bool:
    """Tell whether a line of JSON has other quotation marks than what was read of it.

    It takes a tenth of reading's time, and four tenths where marks are escaped.

    Args:
        line: A value that was read.
        quotes: The marks around all names and texts that were read of it.
    """
    there = line.count(b'"')
    if there == quotes:
        return False
    return b"\\\\" in line or there - line.count(b'\\"') != quotes  # behind an escaped backslash a mark isn't escaped


def describe_repeated_name(name: str) -> str:
    """Return the fault of a row in words."""
    return f"It says {name[:80]!r} twice in one object, and nothing tells which of both is meant. Keep one of them."


def _check_pairs(pairs: Sequence[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    before: set[str] = set()
    for name, _ in pairs:
        if name in before:
            raise _RepeatedName(name)
        before.add(name)


_decoder = json.JSONDecoder(object_pairs_hook=_check_pairs, parse_int=len, parse_float=len)
"""Numbers aren't made: one of thousands of digits would be an error."""
