"""Questions that the served base model writes about passages, where nobody labelled any."""

import asyncio
import re
from typing import Any

import msgspec

from gateway.engines import EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.engines.client import cache_salt
from gateway.errors import BAD_JSON

__all__ = ["QuestionWriter", "clean_question"]

_MOST_TOKENS = 48
_SECONDS = 60.0
_LONGEST_PASSAGE = 1_200
"""Characters: a question is about one thing."""
_SHORTEST, _LONGEST = 12, 300
_INSTRUCTION = (
    "Below is a passage from a document. Write one short question that a user could ask and that this passage answers. "
    "Name the thing that it is about, and don't mention the passage or the document. Answer with the question alone, "
    "in one line, in the passage's language.\n\nTitle: {title}\n\nPassage:\n{text}\n\nQuestion:"
)
_LABEL = re.compile(r"^(?:question|user|answer|\d+[.)]|[-*])\s*:?\s+", re.IGNORECASE)
_ABOUT_ITSELF = re.compile(r"\b(?:this|the) (?:passage|text|document|excerpt|paragraph)\b", re.IGNORECASE)
_QUOTES = "\"'`*“”„«» "


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
        content = _INSTRUCTION.format(title=markers.neutralise(title), text=markers.neutralise(text[:_LONGEST_PASSAGE]))
        with self._pool.pick(None) as lease:
            body: dict[str, Any] = {
                "model": self.model,
                "messages": [{"role": "user", "content": content}],
                "max_tokens": _MOST_TOKENS,
                "temperature": 0,
                "chat_template_kwargs": {"enable_thinking": False},  # where the template knows it; others ignore it
                "cache_salt": cache_salt(tenant),
            }
            async with asyncio.timeout(_SECONDS), lease.replica.awaited():
                stream = await lease.engine.chat(msgspec.json.encode(body))
                try:
                    data = await stream.read()
                finally:
                    await stream.aclose()
        return clean_question(_read(data))


def clean_question(written: str) -> str | None:
    """Return the first line without labels and quotes; None where it is no question, or one about the passage."""
    line = next((line for line in map(str.strip, written.splitlines()) if line), "")
    text = " ".join(_LABEL.sub("", line.strip(_QUOTES)).strip(_QUOTES).split())
    end = max(text.find("?"), text.find("？"), text.find("؟"))
    text = text[: end + 1]
    return text if _SHORTEST <= len(text) <= _LONGEST and not _ABOUT_ITSELF.search(text) else None


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
