"""Questions that the served base model writes about passages, where nobody labelled any."""

import asyncio
from typing import Any

import msgspec

from gateway.engines import EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.engines.client import make_cache_salt
from gateway.errors import BAD_JSON
from gateway.evaluation.written_questions import ask_for_question, clean_question

__all__ = ["QuestionWriter"]

_MOST_TOKENS = 48
_SECONDS = 60.0


class QuestionWriter:
    """Asks the base model.

    Args:
        traits: Of the base, whose markers are broken in what it reads.
    """

    def __init__(self, pool: EnginePool, traits: BaseTraits) -> None:
        self._pool = pool
        self._traits = traits

    @property
    def model(self) -> str:
        """The base model's name, as the engines have it."""
        return self._pool.base_model or ""

    async def write(self, tenant: str, title: str, text: str) -> str | None:
        """Write a question that a passage answers; None where what came isn't one.

        Raises:
            EngineError: No engine is ready, or it failed.
            TimeoutError: It took a minute.
        """
        await self._traits.settle()
        markers = self._traits.markers
        content = ask_for_question(markers.neutralise(title), markers.neutralise(text))
        with self._pool.pick(None) as lease:
            body: dict[str, Any] = {
                "model": self.model,
                "messages": [{"role": "user", "content": content}],
                "max_tokens": _MOST_TOKENS,
                "temperature": 0,
                "chat_template_kwargs": {"enable_thinking": False},  # where the template knows it; others ignore it
                "cache_salt": make_cache_salt(tenant),
            }
            async with asyncio.timeout(_SECONDS):
                with lease.replica.make_wait():
                    stream = await lease.engine.chat(msgspec.json.encode(body))
                try:
                    data = await stream.read()
                finally:
                    await stream.aclose()
        return clean_question(_read(data))


def _read(data: bytes) -> str:
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except BAD_JSON:
        return ""
    return (answer.choices[0].message.content or "") if answer.choices else ""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]
