"""One question to the base model itself, without any release: what Braid asks for work of its own."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.engines.client import make_cache_salt
from gateway.engines.pool import EnginePool
from gateway.errors import BAD_JSON

__all__ = ["BaseReply", "ask_base"]

_WITHOUT_THOUGHT = {"enable_thinking": False}  # where the template knows it; others ignore it


class BaseReply(msgspec.Struct, frozen=True):
    """A reply of the base; `is_whole` is false where it was cut at the most tokens."""

    text: str = ""
    is_whole: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


async def ask_base(
    pool: EnginePool,
    tenant: str,
    content: str,
    *,
    most_tokens: int,
    chat_template_kwargs: Mapping[str, Any] = _WITHOUT_THOUGHT,
) -> BaseReply:
    """Ask at temperature 0; an answer that can't be read is empty.

    Args:
        pool: Its engines serve the base.
        tenant: For whom.
        content: The question, with the base's markers broken in what others wrote.
        most_tokens: Of the reply.
        chat_template_kwargs: Values of the chat template's own names.

    Raises:
        EngineError: No engine is ready, or it failed.
    """
    with pool.pick(None) as lease:
        body: dict[str, Any] = {
            "model": pool.base_model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": most_tokens,
            "temperature": 0,
            "chat_template_kwargs": chat_template_kwargs,
            "cache_salt": make_cache_salt(tenant),
        }
        with lease.replica.make_wait():
            stream = await lease.engine.chat(msgspec.json.encode(body))
        try:
            return _read(await stream.read())
        finally:
            await stream.aclose()


def _read(data: bytes) -> BaseReply:
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except BAD_JSON:
        return BaseReply()
    usage = answer.usage or _Usage()
    text, reason = "", None
    if answer.choices:
        text, reason = answer.choices[0].message.content or "", answer.choices[0].finish_reason
    return BaseReply(text, reason == "stop", usage.prompt_tokens, usage.completion_tokens)


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
