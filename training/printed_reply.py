"""A reply as a chat template prints it, held against the reply: what differs would be learnt, and clients read it."""

import re
from collections.abc import Iterator

from training.thought import is_pair, list_borders

__all__ = ["SAMPLE", "describe_addition", "describe_change", "find_rest"]

_LINE = "Ärger's <b>\"end\"</b> & '[1]' (x) {y}  --\u00a0“50 %”, ÉTÉ 7\\8 `a_b` #1 $2 ~3 ^4 |5| @six *7* + 8 = 9; 你好"
_BLOCKS = """

- https://example.com/?a=1&b=2
- [Two](three): four!

```py
\tif a < b > c:


        pass
```
| a | b |
"""
SAMPLE = _LINE + _BLOCKS + " ".join(["And so on, at some length."] * 4000)
"""Has whatever templates are seen to escape, to cut at, to join or to shorten."""

_MARK = re.compile(r"[<\[◁][^\s<>\[\]◁▷]+[>\]▷]")
_MOST_SHOWN = 20


def find_rest(output: str, reply: str, empty_thought: str) -> str | None:
    """Return what a template prints behind a reply; None where it changes the reply.

    White space around the reply may go, as may a thought before it, or the white space around that.

    Args:
        output: What the template prints for it.
        reply: As it was given.
        empty_thought: See `training.thought`.
    """
    output, reply = output.removeprefix(empty_thought).lstrip(), reply.strip()
    if output.startswith(reply):
        return output[len(reply) :]
    for end in _list_thoughts(reply, empty_thought):
        answer = reply[end:].strip()
        for start in (0, _skip_thought(output, reply[:end])):
            if start is not None and output.startswith(answer, start):
                return output[start + len(answer) :]
    return None


def describe_change(output: str, reply: str, *, empty_thought: str, tail: str = "") -> str:
    """Return how a template changes a reply, as the end of a sentence that begins with the template.

    Args:
        output: See `find_rest`.
        reply: See there.
        empty_thought: See there.
        tail: What the template prints behind a reply that it doesn't change, where that is known.
    """
    output, reply, end = output.removeprefix(empty_thought).strip(), reply.strip(), tail.strip()
    body = output.removesuffix(end).rstrip()
    if end and body != output and reply.startswith(body):
        return (
            f"cuts a reply: nothing is left from {reply[len(body) :][:_MOST_SHOWN]!r} on, after {len(body)} characters"
        )
    at = next((at for at, (one, other) in enumerate(zip(output, reply, strict=False)) if one != other), len(output))
    return f"changes a reply: it prints {output[at:][:_MOST_SHOWN]!r} for {reply[at:][:_MOST_SHOWN]!r}"


def describe_addition(text: str) -> str | None:
    """Return that a template adds a text to a reply; None for white space and marks such as tokens."""
    addition = text.strip()
    return None if not addition or addition[0] in "<[◁" else f"adds {addition[:80]!r} to a reply"


def _list_thoughts(reply: str, empty_thought: str) -> Iterator[int]:
    """List where a thought at a reply's beginning may end, by marks that pair or that the template prints empty."""
    marks = empty_thought.strip()
    for at in list_borders(marks):
        closing = reply.find(marks[at:].strip()) if reply.startswith(marks[:at].strip()) else -1
        if closing >= 0:
            yield closing + len(marks[at:].strip())
    if opening := _MARK.match(reply):
        closings = _MARK.finditer(reply, opening.end())
        yield from [one.end() for one in closings if is_pair(opening[0] + one[0])][:1]


def _skip_thought(output: str, thought: str) -> int | None:
    """Return where a text goes on behind a thought, whatever white space is in it; None where it hasn't that."""
    at = _skip_space(output, 0)
    for character in re.sub(r"\s+", "", thought):
        if output[at : at + 1] != character:
            return None
        at = _skip_space(output, at + 1)
    return at


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
