"""vLLM over HTTP: one replica, no retries, one map from transport errors to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import aiohttp
import msgspec

from gateway.engines.errors import EngineRefused
from gateway.engines.stream import Stream
from gateway.engines.transport import TRANSPORT, bounded, refusal, shown, transport_error

__all__ = ["Engine", "Listing", "Timeouts", "VllmEngine", "open_session"]

_T = TypeVar("_T")
_JSON = {"content-type": "application/json"}
_CONTROL_BYTES = 16 * 1024 * 1024
# vLLM closes idle connections after 5 s. Below that, no request meets a connection that is just being closed.
_KEEPALIVE_SECONDS = 4.0


@dataclass(frozen=True)
class Timeouts:
    """All in seconds.

    ``first_byte`` runs until the headers are there, which for a plain answer is the whole generation. ``gap`` is the
    longest silence inside a body; it can't be longer than ``first_byte``.
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


@dataclass(frozen=True)
class Listing:
    """What a replica serves: the base model's name, its context length in tokens, and adapters by name with paths."""

    base_model: str
    max_model_len: int
    adapters: Mapping[str, str]


class Engine(Protocol):
    """One engine replica. Every method raises ``EngineError``s only."""

    @property
    def url(self) -> str: ...

    async def health(self) -> None:
        """Return if the engine says that it is healthy."""
        ...

    async def models(self) -> Listing: ...

    async def load_adapter(self, name: str, path: str) -> None:
        """Load from a path as the engine sees it. Fine if that name is loaded from that path already."""
        ...

    async def unload_adapter(self, name: str) -> None:
        """Forget a name. Fine if the engine doesn't know it."""
        ...

    async def tokenize(self, model: str, text: str) -> int:
        """Count the tokens of a text, without any that the tokenizer would add at its ends."""
        ...

    async def chat(self, body: bytes) -> Stream:
        """Send a chat request as it is. Returns with the headers of a 200; anything else is ``EngineRefused``."""
        ...

    async def logprobs(self, model: str, tokens: Sequence[int], start: int) -> list[float]:
        """Return the log-probability of each of ``tokens[start:]``, given all tokens before it (start is 1 or more)."""
        ...


def open_session() -> aiohttp.ClientSession:
    """Make the one session that all engines share; the caller closes it.

    The number of connections isn't limited here: that is the limiter's and the pool's affair, and a queue inside the
    client would look like a slow engine.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


class VllmEngine:
    """``Engine`` for vLLM's OpenAI server at a URL; the session is borrowed."""

    def __init__(self, url: str, session: aiohttp.ClientSession, timeouts: Timeouts | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._timeouts = timeouts or Timeouts()
        times = self._timeouts
        self._for_chat = aiohttp.ClientTimeout(total=None, sock_connect=times.connect, sock_read=times.first_byte)
        self._for_control = aiohttp.ClientTimeout(total=times.control, sock_connect=times.connect)
        self._for_loads = aiohttp.ClientTimeout(total=times.load, sock_connect=times.connect)
        self._chat_url = f"{self._url}/v1/chat/completions"

    @property
    def url(self) -> str:
        return self._url

    async def health(self) -> None:
        await self._control("GET", "/health", None)

    async def models(self) -> Listing:
        answer = await self._control("GET", "/v1/models", None)
        cards = self._decode(answer, _Models).data
        base = next((card for card in cards if card.parent is None), None)
        if base is None or base.max_model_len is None:
            raise EngineRefused(200, "/v1/models lists no base model with its length: is this a vLLM server?")
        adapters = {card.id: card.root or "" for card in cards if card.parent is not None}
        return Listing(base.id, base.max_model_len, adapters)

    async def load_adapter(self, name: str, path: str) -> None:
        try:
            await self._control("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, load=True)
        except EngineRefused as refused:
            if refused.engine_status != 400 or (await self.models()).adapters.get(name) != path:
                raise

    async def unload_adapter(self, name: str) -> None:
        try:
            await self._control("POST", "/v1/unload_lora_adapter", {"lora_name": name})
        except EngineRefused as refused:
            # Builds of vLLM that also drop the weights answer 500 when those were evicted before.
            if refused.engine_status != 404 and name in (await self.models()).adapters:
                raise

    async def tokenize(self, model: str, text: str) -> int:
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        return self._decode(await self._control("POST", "/tokenize", body), _Tokenized).count

    async def chat(self, body: bytes) -> Stream:
        try:
            response = await self._session.post(self._chat_url, data=body, headers=_JSON, timeout=self._for_chat)
            if response.status != 200:
                async with response:
                    raise await refusal(response)
        except TRANSPORT as error:
            raise transport_error(error, self._url, "answer") from error
        return Stream(response, self._url, self._timeouts.gap)

    async def logprobs(self, model: str, tokens: Sequence[int], start: int) -> list[float]:
        # prompt_logprobs=0 is each token's own; vLLM doesn't read its prefix cache for such a request, so what is
        # measured is these weights now. One token has to be generated too, and is ignored.
        body = {"model": model, "prompt": list(tokens), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        answer = self._decode(await self._control("POST", "/v1/completions", body, load=True), _Completed)
        rows = answer.choices[0].prompt_logprobs if answer.choices else []
        if len(rows) != len(tokens):
            raise EngineRefused(200, f"{len(rows)} prompt log-probabilities came back for {len(tokens)} tokens.")
        found = [(row or {}).get(str(token)) for token, row in zip(tokens[start:], rows[start:], strict=True)]
        if any(one is None for one in found):
            raise EngineRefused(200, "A prompt token has no log-probability in the answer.")
        return [one.logprob for one in found if one is not None]

    async def _control(self, method: str, path: str, body: Mapping[str, Any] | None, *, load: bool = False) -> bytes:
        data = None if body is None else msgspec.json.encode(body)
        timeout = self._for_loads if load else self._for_control
        headers = None if data is None else _JSON
        try:
            async with self._session.request(
                method, self._url + path, data=data, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise await refusal(response)
                return await bounded(response, _CONTROL_BYTES)
        except TRANSPORT as error:
            raise transport_error(error, self._url, "answer") from error

    def _decode(self, answer: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise EngineRefused(200, f"The answer isn't what vLLM sends ({error}): {shown(answer)}") from error


class _Card(msgspec.Struct):
    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_Card]


class _Tokenized(msgspec.Struct):
    count: int


class _Logprob(msgspec.Struct):
    logprob: float


class _Choice(msgspec.Struct):
    prompt_logprobs: list[dict[str, _Logprob] | None]


class _Completed(msgspec.Struct):
    choices: list[_Choice]
