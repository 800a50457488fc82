"""Parts of an engine's answer as OpenAI's contract has them: nothing more, and what is required is there."""

from typing import Any

__all__ = ["logprobs_of", "usage_of"]

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = {"prompt_tokens_details": ("cached_tokens",), "completion_tokens_details": ("reasoning_tokens",)}


def usage_of(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the token counts, without what only one engine counts."""
    if usage is None:
        return None
    shown: dict[str, Any] = {name: usage.get(name) or 0 for name in _COUNTS}
    for name, kept in _DETAILS.items():
        details: dict[str, Any] = usage.get(name) or {}
        found = {count: details[count] for count in kept if details.get(count) is not None}
        if found:
            shown[name] = found
    return shown


def logprobs_of(logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a choice's log-probabilities with the member that engines leave out."""
    return None if logprobs is None else {"content": logprobs.get("content"), "refusal": logprobs.get("refusal")}
