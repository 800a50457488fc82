"""Questions of a run to models, and what becomes of them: an answer, an item's error, or the end of the whole run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.errors import BraidError
from gateway.jobs import JobDelayed, JobFailed
from gateway.tenants.authenticator import Principal

__all__ = ["AnswerUsage", "Asker", "Complete", "ItemAnswer", "ItemFailed"]

Complete = Callable[[Principal, Mapping[str, Any]], Awaitable[tuple[bytes, bytes]]]
"""Answers a chat request: returns OpenAI's `chat.completion`, and the body that the engine got for it, both as JSON."""

_ENDS_RUN = frozenset({"model_not_found", "no_rollout"})
_AWAY_SECONDS = 2.0
_PAUSES = (0.5, 2.0, None)


class ItemFailed(Exception):
    """An item has no answer, or a criterion no grade; `code` and `message` are for the run's owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def describe(self) -> dict[str, str]:
        """Return OpenAI's `{code, message}`."""
        return {"code": self.code, "message": self.message}


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int = 0


class AnswerUsage(msgspec.Struct, frozen=True):
    """Tokens of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: _Details = _Details()

    @property
    def cached_tokens(self) -> int:
        return self.prompt_tokens_details.cached_tokens


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list[dict[str, Any]] = []


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str = "stop"


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    usage: AnswerUsage | None = None
    id: str = ""


class SentParameters(msgspec.Struct, frozen=True):
    """Sampling and messages as the engine got them; what is unset the engine chose."""

    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET
    messages: list[dict[str, Any]] = []


class ItemAnswer(msgspec.Struct, frozen=True):
    """A model's answer; `parameters` is what it was made with, `id` that of its record."""

    model: str
    text: str
    tool_calls: list[dict[str, Any]]
    finish_reason: str
    usage: AnswerUsage
    parameters: SentParameters
    id: str = ""


_completions = msgspec.json.Decoder(_Completion)
_bodies = msgspec.json.Decoder(SentParameters)


class Asker:
    """Asks models in the name of one principal.

    Args:
        complete: The way that all chat requests go.
        principal: The tenant, and the key that asked for the run.
        pauses: Seconds before each further attempt at a question that an engine failed at; None ends them.
    """

    def __init__(self, complete: Complete, principal: Principal, *, pauses: tuple[float | None, ...] = _PAUSES) -> None:
        self._complete = complete
        self._principal = principal
        self._pauses = pauses

    async def ask(self, body: Mapping[str, Any]) -> ItemAnswer:
        """Ask a model.

        Raises:
            ItemFailed: It can't be answered, or wasn't in a few attempts.
            JobFailed: Nothing of the tenant's has the model's name, so that no other question can be answered either.
            JobDelayed: No engine is there now.
        """
        model = str(body["model"])
        for pause in self._pauses:
            try:
                completion, request_body = await self._complete(self._principal, body)
            except BraidError as error:
                if error.code in _ENDS_RUN:
                    raise JobFailed(error.code or "model_not_found", error.message) from error
                if error.status == 503:
                    raise JobDelayed(error.message, seconds=_AWAY_SECONDS) from error
                if error.status < 500 or pause is None:
                    raise ItemFailed(error.code or "invalid_request", error.message) from error
                await asyncio.sleep(pause)
            else:
                return _read(model, completion, request_body)
        raise AssertionError("the last pause is None")


def _read(model: str, completion: bytes, request_body: bytes) -> ItemAnswer:
    chat_completion = _completions.decode(completion)
    choice = chat_completion.choices[0]
    return ItemAnswer(
        model,
        choice.message.content or "",
        choice.message.tool_calls,
        choice.finish_reason,
        chat_completion.usage or AnswerUsage(),
        _bodies.decode(request_body),
        chat_completion.id,
    )
