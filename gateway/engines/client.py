"""vLLM over HTTP: one replica, no retries."""

import hashlib
import hmac
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec

from gateway.engines.errors import EngineRefused, EngineTimeout
from gateway.engines.http import Connections
from gateway.engines.refusal import cut_excerpt, read_refusal
from gateway.engines.stream import Stream
from gateway.errors import BAD_JSON
from gateway.ids import find_cause
from retrieval.patience import Patience

__all__ = ["Engine", "ModelListing", "Timeouts", "make_cache_salt", "read_corrupted"]

_T = TypeVar("_T")
_CORRUPTED = re.compile(rb"^vllm:corrupted_requests(?:_total)?(?:\{[^\n]*\})? ([0-9.eE+]+)", re.MULTILINE)
_CHAT = "/v1/chat/completions"
_UNDERSCORES = re.compile(r"__+")
_PROMPT_FIELDS = ("messages", "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message")
_CONTROL_BYTES = 16 * 1024 * 1024
_LISTING_BYTES = 128 * 1024 * 1024
"""Of all models: 200,000 adapters."""


@cache
def make_cache_salt(tenant: str) -> str:
    """Return the salt that keeps one tenant's prefix cache apart from another's; a client's own is never used."""
    return hmac.new(tenant.encode(), b"prefix-cache", hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds.

    `first_byte` runs from the request until the answer's first bytes behind its headers, which for a plain answer is
    the whole generation. `gap` is the longest silence inside a body; it can't be longer than `first_byte`.
    `control` and `load` are for whole calls, with connecting.
    """

    connect: float = 2.0
    first_byte: float = 600.0
    gap: float = 60.0
    control: float = 5.0
    load: float = 120.0

    def __post_init__(self) -> None:
        if self.gap > self.first_byte:
            raise ValueError(
                f"The gap timeout ({self.gap} s) is longer than the one for the first byte ({self.first_byte} s)."
            )


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A replica's models: the base model's name, its context length in tokens, and the paths of adapters by name."""

    base_model: str
    max_model_len: int
    adapters: Mapping[str, str]


class Engine:
    """One replica: vLLM's OpenAI server at a URL, over borrowed connections. All methods raise `EngineError`s only."""

    def __init__(self, url: str, connections: Connections, timeouts: Timeouts | None = None) -> None:
        self._url = url.rstrip("/")
        self._origin = connections.make_origin(self._url)
        self._timeouts = timeouts or Timeouts()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return self._url

    async def check_health(self) -> None:
        """Return if the engine says that it is healthy."""
        await self._control("GET", "/health", None)

    async def list_models(self) -> ModelListing:
        """Return what it serves."""
        answer = await self._control("GET", "/v1/models", None, limit=_LISTING_BYTES)
        cards = self._decode(answer, _Models).data
        base = next((card for card in cards if card.parent is None), None)
        if base is None or base.max_model_len is None:
            raise EngineRefused(200, "/v1/models lists no base model with its length: is this a vLLM server?")
        adapters = {card.id: card.root or "" for card in cards if card.parent is not None}
        return ModelListing(base.id, base.max_model_len, adapters)

    async def load_adapter(self, name: str, path: str) -> None:
        """Load from a path as the engine sees it. Fine if that name is loaded from that path already."""
        try:
            await self._control("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, load=True)
        except EngineRefused as refused:
            if refused.engine_status != 400 or (await self.list_models()).adapters.get(name) != path:
                raise

    async def unload_adapter(self, name: str) -> None:
        """Unload a name. Fine if the engine doesn't know it."""
        try:
            await self._control("POST", "/v1/unload_lora_adapter", {"lora_name": name})
        except EngineRefused as refused:
            # Builds of vLLM that also drop the weights answer 500 when those were evicted before.
            if refused.engine_status != 404 and name in (await self.list_models()).adapters:
                raise

    async def tokenize(self, model: str, text: str) -> int:
        """Count the tokens of a text, without any that the tokenizer would add at its ends."""
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        return self._decode(await self._control("POST", "/tokenize", body), _TokenizeReply).count

    async def tokenize_chat(self, model: str, messages: Sequence[Mapping[str, Any]], *, prompt: bool) -> list[int]:
        """Return the tokens of a conversation; with `prompt` they end with what asks the model for a reply."""
        body = {"model": model, "messages": messages, "add_generation_prompt": prompt}
        return self._decode(await self._control("POST", "/tokenize", body), _TokenizeReply).tokens

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """Return the text of some tokens."""
        answer = await self._control("POST", "/detokenize", {"model": model, "tokens": tokens})
        return self._decode(answer, _DetokenizeReply).prompt

    async def render_chat(self, model: str, messages: Sequence[Mapping[str, Any]], *, prompt: bool) -> str:
        """Return the text of a conversation, see `tokenize_chat`."""
        return await self.detokenize(model, await self.tokenize_chat(model, messages, prompt=prompt))

    async def count_prompt(self, model: str, body: bytes) -> int:
        """Count the tokens of a chat request's prompt, with all that the chat template adds."""
        return (await self._tokenize_prompt(model, body)).count

    async def tokenize_prompt(self, model: str, body: bytes) -> list[int]:
        """Return the tokens of a chat request's prompt, which asks for a reply as `add_generation_prompt` says."""
        return (await self._tokenize_prompt(model, body)).tokens

    async def tokenize_text(self, model: str, text: str) -> list[int]:
        """Return the tokens of a text, with those that the tokenizer adds at its beginning."""
        body = {"model": model, "prompt": text, "add_special_tokens": True}
        return self._decode(await self._control("POST", "/tokenize", body), _TokenizeReply).tokens

    async def chat(self, body: bytes) -> Stream:
        """Send a chat request as it is. Returns with the headers of a 200; anything else is `EngineRefused`."""
        times = self._timeouts
        answer = await self._origin.request(
            "POST",
            _CHAT,
            body,
            connect=times.connect,
            first_byte=times.first_byte,
            gap=times.gap,
            request_id=self._name_request(),
        )
        if answer.status != 200:
            raise await read_refusal(answer)
        return answer

    async def count_corrupted(self) -> int | None:
        """Return how many requests since its start it computed no numbers (NaN) for; None where it doesn't count."""
        return read_corrupted(await self._control("GET", "/metrics", None))

    async def measure_logprobs(self, model: str, tokens: Sequence[int], start: int) -> list[float]:
        """Return the log-probability of each of `tokens[start:]`, given all tokens before it (start is 1 or more)."""
        # prompt_logprobs=0 is each token's own; vLLM doesn't read its prefix cache for such a request, so what is
        # measured is these weights now. One token has to be generated too, and is ignored.
        body = {"model": model, "prompt": list(tokens), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        answer = self._decode(await self._control("POST", "/v1/completions", body, load=True), _CompletionReply)
        rows = answer.choices[0].prompt_logprobs if answer.choices else []
        if len(rows) != len(tokens):
            raise EngineRefused(200, f"{len(rows)} prompt log-probabilities came back for {len(tokens)} tokens.")
        logprobs = [(row or {}).get(str(token)) for token, row in zip(tokens[start:], rows[start:], strict=True)]
        if any(one is None for one in logprobs):
            raise EngineRefused(200, "A prompt token has no log-probability in the answer.")
        return [one.logprob for one in logprobs if one is not None]

    async def _tokenize_prompt(self, model: str, body: bytes) -> "_TokenizeReply":
        request: dict[str, Any] = msgspec.json.decode(body)
        prompt = {name: request[name] for name in _PROMPT_FIELDS if name in request}
        return self._decode(await self._control("POST", "/tokenize", {**prompt, "model": model}), _TokenizeReply)

    async def _control(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        load: bool = False,
        limit: int = _CONTROL_BYTES,
    ) -> bytes:
        data = None if body is None else msgspec.json.encode(body)
        times = self._timeouts
        total = times.load if load else times.control
        try:
            async with Patience(total):
                answer = await self._origin.request(
                    method,
                    path,
                    data,
                    connect=times.connect,
                    first_byte=total,
                    gap=total,
                    request_id=self._name_request(),
                )
                if answer.status != 200:
                    raise await read_refusal(answer)
                content = await answer.read_up_to(limit + 1)
        except TimeoutError as error:
            raise EngineTimeout(f"{self._url}{path}: no whole answer within {total:g} s", "answer") from error
        if len(content) > limit:  # what is cut would be taken for the whole, such as half of a listing
            raise EngineRefused(200, f"The answer to {path} is longer than {limit} bytes, and nothing of it was read.")
        return content

    def _name_request(self) -> str:
        """Return an id for vLLM's log, which begins with that of the client's request or the job; "" without one.

        Older versions of vLLM refuse an id that is running, and a client may send the same one twice: hence the number.
        Engines that share their work read addresses behind three underscores (`___decode_addr_`), and a client may
        choose its id: hence no two in a row.
        """
        cause = find_cause()
        return f"{_UNDERSCORES.sub('_', cause)}-{next(self._numbers)}" if cause else ""

    def _decode(self, answer: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except BAD_JSON as error:
            raise EngineRefused(200, f"The answer isn't what vLLM sends ({error}): {cut_excerpt(answer)}") from error


def read_corrupted(metrics: bytes) -> int | None:
    """Return the count of requests with NaN in vLLM's metrics, over all of its cores; None where it isn't there.

    vLLM counts with `VLLM_COMPUTE_NANS_IN_LOGITS=1` only (`vllm:corrupted_requests`, version 0.32).
    """
    counts = _CORRUPTED.findall(metrics)
    return round(sum(map(float, counts))) if counts else None


class _Card(msgspec.Struct):
    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_Card]


class _TokenizeReply(msgspec.Struct):
    count: int
    tokens: list[int] = []


class _DetokenizeReply(msgspec.Struct):
    prompt: str


class _Logprob(msgspec.Struct):
    logprob: float


class _Choice(msgspec.Struct):
    prompt_logprobs: list[dict[str, _Logprob] | None]


class _CompletionReply(msgspec.Struct):
    choices: list[_Choice]
