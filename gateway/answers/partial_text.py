"""The text of an answer that didn't come to its end, from which its tokens are counted."""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import BAD_JSON

__all__ = ["join_texts"]


class _Event(msgspec.Struct):
    choices: list[dict[str, Any]] = []


def join_texts(events: Iterable[bytes]) -> list[str]:
    """Return one text per choice, of everything that a model generated: content, thoughts and calls of tools.

    Events that can't be read are left out.
    """
    texts: dict[int, list[str]] = {}
    for data in events:
        try:
            event = msgspec.json.decode(data, type=_Event)
        except BAD_JSON:
            continue
        for choice in event.choices:
            pieces = texts.setdefault(choice.get("index", 0), [])
            pieces += _pieces(choice.get("delta") or {})
    return ["".join(pieces) for pieces in texts.values()]


def _pieces(delta: dict[str, Any]) -> Iterable[str]:
    for name in ("reasoning", "reasoning_content", "content"):
        if isinstance(delta.get(name), str):
            yield delta[name]
    for call in delta.get("tool_calls") or ():
        function: dict[str, str | None] = call.get("function") or {}
        yield function.get("name") or ""
        yield function.get("arguments") or ""
