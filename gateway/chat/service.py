"""The one road that every answer takes."""

import asyncio
from collections.abc import AsyncGenerator

import structlog

from gateway.answers.log import AnswerLog
from gateway.chat.answer import PlainAnswer, StreamedAnswer
from gateway.chat.compose import compose
from gateway.chat.evidence import find_evidence
from gateway.chat.plain import whole_answer
from gateway.chat.relay import Relay, error_event
from gateway.chat.request import ChatRequest
from gateway.chat.settle import Account
from gateway.chat.target import Target, Targets
from gateway.db import Database
from gateway.engines import (
    AdapterNotLoaded,
    Engine,
    EngineError,
    EnginePool,
    EngineRefused,
    EngineUnreachable,
    Lease,
    Reconciler,
    Stream,
)
from gateway.engines.replica import Replica
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest, BraidError, Denied
from gateway.metrics import Metrics
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Principal, Scope
from gateway.vector_stores.search import read_states
from retrieval.client import Retriever

__all__ = ["ChatService"]

_log = structlog.get_logger()

_ADAPTER_PATIENCE_SECONDS = 10.0


class ChatService:
    """Resolve → retrieve → compose → pick → relay → settle."""

    def __init__(
        self,
        database: Database,
        pool: EnginePool,
        reconciler: Reconciler,
        retriever: Retriever,
        counter: TokenCounter,
        answers: AnswerLog,
        metrics: Metrics,
        drain: Drain,
    ) -> None:
        self._database = database
        self._pool = pool
        self._reconciler = reconciler
        self._retriever = retriever
        self._counter = counter
        self._answers = answers
        self._metrics = metrics
        self._drain = drain
        self._targets = Targets()

    async def answer(self, principal: Principal, request: ChatRequest) -> PlainAnswer | StreamedAnswer:
        """Answer a chat request.

        Raises:
            BraidError: Whatever keeps the answer from beginning; nothing has been sent then.
        """
        if request.braid is not None and not principal.may(Scope.MANAGE):
            raise Denied("Switching strands with 'braid' takes a key with the scope 'manage'.", param="braid")
        self._drain.admit()
        account = Account(principal.tenant, request.model, bool(request.stream), request.structured)
        try:
            await self._prepare(account, request)
            lease, upstream = await self._open(account)
        except BraidError as error:
            self._metrics.ended(error.code or "error")
            raise
        except asyncio.CancelledError:
            account.settle("abandoned", self._answers, self._metrics)
            raise
        account.replica = lease.engine.url
        account.answered()
        if request.stream:
            return StreamedAnswer(account.headers(), self._stream(account, request, lease, upstream))
        return PlainAnswer(account.headers(), await self._whole(account, lease, upstream))

    async def _prepare(self, account: Account, request: ChatRequest) -> None:
        base_model = self._counter.base_model
        if request.model == base_model and request.braid is None:
            account.target = Target(base_model)  # nothing of a tenant's is in it, so nothing needs to be read
        else:
            await self._look_up(account, request, base_model)
        account.composed = await compose(request, account.target, account.evidence, account.tenant, self._counter)
        account.ready()

    async def _look_up(self, account: Account, request: ChatRequest, base_model: str) -> None:
        """Find the target and its passages; the transaction ends before the retriever is asked."""
        question = _question(request)
        async with self._database.read() as session:
            account.target = await self._targets.find(session, account.tenant, request, base_model)
            retrieval = account.target.retrieval
            if retrieval is None or not question:
                return
            stores = await read_states(session, account.tenant, retrieval.vector_stores)
        account.evidence = await find_evidence(self._retriever, account.tenant, retrieval, stores, question)
        account.retrieved()

    async def _open(self, account: Account) -> tuple[Lease, Stream]:
        """Send the body to a replica; one that fails before its first byte is replaced by another, once."""
        tried: list[Replica] = []
        failure: EngineError | None = None
        while True:
            try:
                lease = await self._pick(account.target.adapter, tried)
            except EngineError as error:
                raise failure or error from failure
            try:
                return lease, await _begin(lease.engine, account)
            except EngineRefused as error:
                if account.target.adapter is not None and error.engine_status == 404:
                    lease.missing()
                elif error.engine_status < 500:
                    lease.release()
                    raise _refusal(error) from error
                failure = error
            except EngineUnreachable as error:
                lease.failed(error.detail)
                failure = error
            except BaseException:
                lease.release()
                raise
            lease.release()
            if tried:
                raise failure
            tried.append(lease.replica)
            _log.warning("replica_failed_before_first_byte", answer=account.id, reason=failure.detail)

    async def _pick(self, adapter: str | None, tried: list[Replica]) -> Lease:
        """Pick a replica; an adapter that is just being loaded, or again after a restart, is waited for a little."""
        try:
            return self._pool.pick(adapter, tried)
        except AdapterNotLoaded as missing:
            if tried:
                raise
            await self._reconciler.resident(missing.name, _ADAPTER_PATIENCE_SECONDS)
            return self._pool.pick(adapter)

    async def _whole(self, account: Account, lease: Lease, upstream: Stream) -> bytes:
        outcome = "abandoned"
        try:
            with self._drain.track(upstream.aclose), self._metrics.running.track_inprogress():
                body = whole_answer(account, await upstream.read())
            outcome = "completed"
            return body
        except BraidError as error:
            outcome = "interrupted"
            if self._drain.expired:
                raise self._drain.stopped_error() from error
            raise
        finally:
            await upstream.aclose()
            lease.release()
            account.settle(outcome, self._answers, self._metrics)

    async def _stream(
        self, account: Account, request: ChatRequest, lease: Lease, upstream: Stream
    ) -> AsyncGenerator[bytes, None]:
        relay = Relay(
            account.constant(),
            choices=request.n or 1,
            include_usage=bool(request.stream_options and request.stream_options.include_usage),
            marks=account.marks if account.citable else None,
            closing=account.closing,
        )
        outcome = "abandoned"
        try:
            with self._drain.track(upstream.aclose), self._metrics.running.track_inprogress():
                async for events in relay.events(aiter(upstream)):
                    yield events
            outcome = "completed"
        except BraidError as error:
            outcome = "interrupted"
            _log.warning("stream_interrupted", answer=account.id, reason=getattr(error, "detail", error.message))
            yield error_event(self._drain.stopped_error() if self._drain.expired else error)
        finally:
            await upstream.aclose()
            lease.release()
            account.usage = relay.usage or {"completion_tokens": relay.pieces}
            account.settle(outcome, self._answers, self._metrics)


async def _begin(engine: Engine, account: Account) -> Stream:
    """Send the body, and of a stream wait for its first bytes: its headers say nothing yet."""
    upstream = await engine.chat(account.composed.body)
    if account.stream:
        try:
            await upstream.start()
        except BaseException:
            await upstream.aclose()
            raise
    return upstream


def _question(request: ChatRequest) -> str:
    for message in reversed(request.messages):
        if message.role == "user" and isinstance(message.content, str):
            return message.content
    return ""


def _refusal(error: EngineRefused) -> BraidError:
    """Say an engine's refusal in the contract's words; what it says of the request is the client's to know."""
    if error.engine_status == 400:
        too_long = "context length" in error.reason or "context_length" in error.reason
        return BadRequest(
            error.reason, param=error.engine_param, code="context_length_exceeded" if too_long else "engine_refused"
        )
    return error
