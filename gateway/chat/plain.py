"""A whole answer: the engine's JSON made into the contract's."""

from typing import Any

import msgspec

from gateway.chat.contract import logprobs_of, usage_of
from gateway.chat.relay import BrokenStream
from gateway.chat.settle import Account
from gateway.errors import BAD_JSON

__all__ = ["whole_answer"]


class _Completion(msgspec.Struct):
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Completion)


def whole_answer(account: Account, body: bytes) -> bytes:
    """Return the contract's JSON and note usage and citations in the account.

    Raises:
        BrokenStream: The engine's answer can't be read.
    """
    try:
        completion = _decoder.decode(body)
    except BAD_JSON:
        raise BrokenStream("The model server sent an answer that can't be read. Try again.") from None
    account.usage = usage = usage_of(completion.usage)
    choices = [_choice(account, choice) for choice in completion.choices]
    answer: dict[str, Any] = {**account.constant(), "object": "chat.completion", "choices": choices, "usage": usage}
    braid = account.braid()
    if braid is not None:
        answer["braid"] = braid
    return msgspec.json.encode(answer)


def _choice(account: Account, raw: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = raw.get("message") or {}
    content = said.get("content")
    marks = account.marks() if account.citable else None
    if marks is not None and content is not None:
        content = marks.feed(content) + marks.finish()
    annotations, _ = account.closing(marks)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content,
        "refusal": said.get("refusal"),
        "annotations": annotations,
    }
    if said.get("tool_calls"):
        message["tool_calls"] = said["tool_calls"]
    if said.get("reasoning"):
        message["reasoning"] = said["reasoning"]
    return {
        "index": raw.get("index", 0),
        "message": message,
        "logprobs": logprobs_of(raw.get("logprobs")),
        "finish_reason": raw.get("finish_reason") or "stop",
    }
