"""The one way in which every answer begins."""

import structlog

from gateway.answering.compose import compose
from gateway.answering.generation import Generation
from gateway.answering.question import Question
from gateway.answering.resolve import Resolver, Target
from gateway.answering.retrieve import retrieve
from gateway.answering.trace import AnswerTrace
from gateway.answers.log import AnswerLog
from gateway.db import Database
from gateway.engines import (
    AdapterNotLoaded,
    EngineError,
    EnginePool,
    EngineRefused,
    EngineUnreachable,
    Lease,
    Reconciler,
)
from gateway.engines.replica import Replica
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest, BraidError, Denied, blur
from gateway.metrics import Metrics
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Principal, Scope
from gateway.vector_stores.search import read_states
from retrieval.client import Retriever

__all__ = ["AnsweringService"]

_log = structlog.get_logger()

_ADAPTER_PATIENCE_SECONDS = 10.0


class AnsweringService:
    """Resolve → retrieve → compose → pick → generate."""

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
        self._resolver = Resolver(database)

    async def begin(self, principal: Principal, question: Question) -> Generation:
        """Begin an answer; enter the generation at once, since leaving it is what settles it.

        Raises:
            BraidError: Whatever prevents the answer from beginning; nothing is left open then.
        """
        if question.options is not None and not principal.may(Scope.MANAGE):
            raise Denied("Switching strands with 'braid' takes a key with the scope 'manage'.", param="braid")
        trace = AnswerTrace(principal.tenant, question)
        generation = Generation(trace, self._drain, self._metrics, self._answers)
        try:
            await self._start(generation)
        except BaseException as error:
            await generation.aclose(error)
            raise
        return generation

    async def _start(self, generation: Generation) -> None:
        try:
            async with generation.preparing:
                await self._prepare(generation.trace)
                await self._connect(generation)
        except TimeoutError:
            self._drain.check_expired()
            raise
        self._drain.check_expired()  # it may have expired in the very moment in which the first byte came

    async def _prepare(self, trace: AnswerTrace) -> None:
        question, base_model = trace.question, self._counter.base_model
        if question.model == base_model and question.options is None:
            trace.target = Target(base_model)  # nothing of a tenant's is in it, so nothing needs to be read
        else:
            await self._look_up(trace, base_model)
        trace.composed = await compose(question, trace.target, trace.evidence, trace.tenant, self._counter)
        trace.mark_composed()

    async def _look_up(self, trace: AnswerTrace, base_model: str) -> None:
        """Find the target and its passages; the transaction ends before the retriever is asked."""
        text = trace.question.text
        trace.target = await self._resolver.resolve(trace.tenant, trace.question, base_model)
        retrieval = trace.target.retrieval
        if retrieval is None or not text:
            return
        async with self._database.read() as session:
            stores = await read_states(session, trace.tenant, retrieval.vector_stores)
        trace.evidence = await retrieve(self._retriever, trace.tenant, retrieval, stores, text)
        trace.mark_retrieved()

    async def _connect(self, generation: Generation) -> None:
        """Send the body to a replica; one that fails before its first byte is replaced by another, once."""
        adapter = generation.trace.target.adapter
        tried: list[Replica] = []
        failure: EngineError | None = None
        while True:
            try:
                lease = await self._pick(adapter, tried)
            except EngineError as error:
                if failure is not None:
                    raise failure from error
                raise
            try:
                await generation.connect(lease)
                return
            except EngineRefused as error:
                if adapter is not None and error.engine_status == 404:
                    lease.missing()
                elif error.engine_status < 500:
                    raise _explain(error) from error
                failure = error
            except EngineUnreachable as error:
                lease.failed(error.detail)
                failure = error
            await generation.disconnect()
            if tried:
                raise failure
            tried.append(lease.replica)
            _log.warning("replica_failed_before_first_byte", answer=generation.trace.id, reason=failure.detail)

    async def _pick(self, adapter: str | None, tried: list[Replica]) -> Lease:
        """Pick a replica; an adapter that is just being loaded, or again after a restart, is waited for a little."""
        try:
            return self._pool.pick(adapter, tried)
        except AdapterNotLoaded as missing:
            if tried:
                raise
            await self._reconciler.resident(missing.name, _ADAPTER_PATIENCE_SECONDS)
            return self._pool.pick(adapter)


def _explain(error: EngineRefused) -> BraidError:
    """Return an engine's refusal as an error for the client, who may read what it says of the request."""
    if error.engine_status == 400:
        too_long = "context length" in error.reason or "context_length" in error.reason
        return BadRequest(
            blur(error.reason),
            param=error.engine_param,
            code="context_length_exceeded" if too_long else "engine_refused",
        )
    return error
