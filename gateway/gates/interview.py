"""A gate's questions to the engines: answers at temperature 0, and likelihoods of texts that others wrote."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import msgspec

from gateway.answering.compose import ComposedPrompt, compose
from gateway.answering.engine_answer import EngineUsage, decode_answer
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.engines import AdapterUnservable, Engine, EngineError, EnginePool, EngineRefused
from gateway.engines.base_traits import BaseTraits
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.gates.base_answers import BaseAnswers
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed

__all__ = ["ANSWER_TOKENS", "Interview", "Likelihood", "MeasuredAnswer", "Notes", "explain_interruptions"]

ANSWER_TOKENS = 320
"""The most tokens of an answer."""
_PARAMETERS: Mapping[str, Any] = {"temperature": 0, "max_tokens": ANSWER_TOKENS}
_AT_ONCE = 4  # beside the traffic of clients
_SAVE_SECONDS = 15.0
_PAUSE_SECONDS = 5.0


class Likelihood(msgspec.Struct, frozen=True, array_like=True):
    """The sum of a text's log-probabilities in nats, and its tokens."""

    total: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.total / self.tokens


class MeasuredAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The text of an answer, its tokens as the engine counts them, and the seconds that it took."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class Notes:
    """Answers that the engines gave already, by the question's digest: a run that was killed doesn't ask again.

    Args:
        claim: Its state keeps them.
        on_save: Called with the number of notes each time that they are saved.
    """

    def __init__(self, claim: Claim, on_save: Callable[[int], Awaitable[None]]) -> None:
        self._claim = claim
        self._on_save = on_save
        self._notes: dict[str, Any] = dict(claim.state.get("notes", {}))
        self._saved = time.monotonic()
        self._saving = asyncio.Lock()

    @property
    def count(self) -> int:
        return len(self._notes)

    async def recall(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was noted under a key, or do the work and note what it returns.

        Raises:
            JobCancelled: The gate's owner cancelled it.
        """
        if key not in self._notes:
            if self._claim.cancelled.is_set():
                raise JobCancelled
            self._notes[key] = msgspec.to_builtins(await work())
            if time.monotonic() - self._saved > _SAVE_SECONDS and not self._saving.locked():
                await self.save()
        return self._notes[key]

    async def save(self) -> None:
        """Keep the notes in the job's state."""
        async with self._saving:
            self._saved = time.monotonic()
            further = len(self._notes) > len(self._claim.state.get("notes", {}))
            await self._claim.save({"notes": dict(self._notes)}, further=further)
            await self._on_save(self.count)


class Recalling(Protocol):
    """Notes of answers: `Notes`, or none at all."""

    async def recall(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was noted under a key, or else what the work returns."""
        ...


class Interview:
    """Asks engines for one tenant; nothing of it is recorded as an answer, since no client gets it.

    Args:
        pool: The engines.
        counter: Counts tokens, and knows the base.
        traits: The base's.
        tenant: Who asks.
        notes: The job's own.
        base_answers: What other jobs have heard from the base itself, which needn't be asked again.
    """

    def __init__(
        self,
        pool: EnginePool,
        counter: TokenCounter,
        traits: BaseTraits,
        tenant: str,
        notes: Recalling,
        base_answers: BaseAnswers | None = None,
    ) -> None:
        self._pool = pool
        self._counter = counter
        self._traits = traits
        self._tenant = tenant
        self._notes = notes
        self._base_answers = base_answers
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def compose(self, target: Target, messages: Sequence[Message], evidence: Evidence = NO_EVIDENCE) -> bytes:
        """Return the body that a client's request would have, but for its temperature and length.

        Raises:
            BadRequest: It doesn't fit into the context.
        """
        return (await self.compose_whole(target, messages, evidence, _PARAMETERS)).body

    async def compose_whole(
        self, target: Target, messages: Sequence[Message], evidence: Evidence, parameters: Mapping[str, Any]
    ) -> ComposedPrompt:
        """Return the same with other parameters, and what went into its prompt; raises as `compose` does."""
        question = Question("gate", target.engine_model, messages, parameters)
        await self._traits.settle()
        return await compose(
            question,
            target,
            evidence,
            self._tenant,
            self._counter,
            folds_system=self._traits.folds_system,
            markers=self._traits.markers,
        )

    async def answer(self, target: Target, body: bytes) -> str:
        """Return the text of the answer; raises what `ask` does."""
        return (await self.ask(target, body)).text

    async def ask(self, target: Target, body: bytes) -> MeasuredAnswer:
        """Return the answer with its figures.

        Raises:
            EngineError: No engine answered.
        """

        async def ask() -> MeasuredAnswer:
            async with self._places:
                start = time.perf_counter()
                with self._pool.pick(target.adapter) as lease:
                    with lease.replica.make_wait():
                        stream = await lease.engine.chat(body)
                    try:
                        data = await stream.read()
                    finally:
                        await stream.aclose()
                seconds = time.perf_counter() - start
            answer = decode_answer(data)
            message = answer.choices[0].message if answer.choices else None
            usage = (answer.usage or EngineUsage()).to_token_usage()
            text = (message.content if message else None) or ""
            return MeasuredAnswer(text, usage.prompt_tokens, usage.completion_tokens, round(seconds, 4))

        return msgspec.convert(await self._recall(target, _digest("ask", body), ask), MeasuredAnswer)

    async def score_reply(self, target: Target, body: bytes, reply: str) -> Likelihood | None:
        """Return the likelihood of a reply behind a body's prompt, with the token that ends it; None if too long."""
        request: dict[str, Any] = msgspec.json.decode(body)
        turns = [*request["messages"], {"role": "assistant", "content": reply}]
        whole = msgspec.json.encode({**request, "messages": turns, "add_generation_prompt": False})

        async def ask() -> Likelihood | None:
            async with self._places:
                with self._pool.pick(target.adapter) as lease:
                    prompt = await lease.engine.tokenize_prompt(target.engine_model, body)
                    tokens = await lease.engine.tokenize_prompt(target.engine_model, whole)
                    return await self._score(lease.engine, target.engine_model, tokens, _measure_prefix(prompt, tokens))

        return _read(await self._recall(target, _digest("reply", whole), ask))

    async def score_text(self, target: Target, text: str) -> Likelihood | None:
        """Return the likelihood of a text that stands for itself, from its second token on."""

        async def ask() -> Likelihood | None:
            async with self._places:
                with self._pool.pick(target.adapter) as lease:
                    tokens = await lease.engine.tokenize_text(target.engine_model, text)
                    return await self._score(lease.engine, target.engine_model, tokens, 1)

        return _read(await self._recall(target, _digest("text", target.engine_model.encode(), text.encode()), ask))

    async def _recall(self, target: Target, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        others = self._base_answers if target.adapter is None else None
        if others is None:
            return await self._notes.recall(key, work)
        answer = await self._notes.recall(key, partial(others.recall, key, work))
        others.note(key, answer)  # of a run that went on from its notes, too
        return answer

    async def _score(self, engine: Engine, model: str, tokens: list[int], start: int) -> Likelihood | None:
        if len(tokens) >= self._counter.context or not 1 <= start < len(tokens):
            return None
        try:
            scores = await engine.measure_logprobs(model, tokens, start)
        except EngineRefused as refused:
            if refused.engine_status == 400:
                return None  # a text that the engine can't score says nothing of either side
            raise
        return Likelihood(sum(scores), len(scores))


@contextmanager
def explain_interruptions() -> Generator[None]:
    """Let errors of the parts that an interview asks be those of its job.

    Raises:
        JobDelayed: A part is away, or failed at something; it is tried again.
        JobFailed: What was asked can't be had.
    """
    try:
        yield
    except AdapterUnservable as error:
        raise JobFailed("adapter_rejected", f"The model server can't serve an adapter. {error.reason}") from error
    except EngineRefused as error:
        if error.engine_status < 500:
            raise JobFailed("engine_refused", error.message) from error
        raise JobDelayed(error.message, seconds=_PAUSE_SECONDS) from error
    except (EngineError, Unavailable) as error:
        raise JobDelayed(error.message, seconds=_PAUSE_SECONDS) from error
    except (NotFound, BadRequest) as error:
        raise JobFailed(error.code or "not_found", error.message) from error


def _read(note: Any) -> Likelihood | None:
    return None if note is None else msgspec.convert(note, Likelihood)


def _measure_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens that both begin with; a template may end its prompt otherwise than it shows a reply."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _digest(*parts: bytes | str) -> str:
    data = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(data).hexdigest()[:24]
