"""The one way in which every answer begins."""

from collections.abc import Callable

import structlog

from gateway.adapters.service import check_kept, check_set_aside
from gateway.answering.compose import compose
from gateway.answering.engine_refusal import explain_refusal
from gateway.answering.generation import Generation
from gateway.answering.question import Question
from gateway.answering.resolve import Resolver, Target
from gateway.answering.retrieve import SKIPPED, retrieve
from gateway.answering.search_decision import SearchDecider
from gateway.answering.source_check import SourceCheck
from gateway.answering.trace import AnswerTrace
from gateway.answers.log import AnswerLog
from gateway.db import Database
from gateway.engines import (
    AdapterNotLoaded,
    EngineBusy,
    EngineError,
    EnginePool,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Lease,
    Reconciler,
)
from gateway.engines.base_traits import BaseTraits
from gateway.engines.replica import Replica
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BraidError, Denied
from gateway.metrics import Metrics
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Principal, Scope
from gateway.vector_stores.retriever_errors import check_filters
from retrieval.client import Retriever

__all__ = ["AnsweringService"]

_log = structlog.get_logger()

_ATTEMPTS = 2
_OF_THE_REQUEST = (400, 413, 422)
"""Statuses that the same request gets from every engine."""

_ADAPTER_PATIENCE_SECONDS = 10.0


class AnsweringService:
    """The way of an answer: resolve → retrieve → compose → pick → generate.

    Args:
        decider: Tells what is searched for, if anything.
        traits: What the base's chat template does with a system text, and what the base takes for more than text.
    """

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
        decider: SearchDecider,
        *,
        traits: BaseTraits,
    ) -> None:
        self._database = database
        self._pool = pool
        self._reconciler = reconciler
        self._retriever = retriever
        self._counter = counter
        self._answers = answers
        self._metrics = metrics
        self._drain = drain
        self._traits = traits
        self._decider = decider
        self._resolver = Resolver(database, traits.base)
        self._sources = SourceCheck(database)

    async def begin(
        self, principal: Principal, question: Question, on_wait: Callable[[AnswerTrace], None] | None = None
    ) -> Generation:
        """Begin an answer; enter the generation at once, since leaving it is what settles it.

        `on_wait` is called when all that the first byte waits for is an engine, which may take long.

        Raises:
            BraidError: Whatever prevents the answer from beginning; nothing is left open then.
        """
        options = question.options
        if options is not None and options.switches and not principal.may(Scope.MANAGE):
            raise Denied("Switching strands with 'braid' takes a key with the scope 'manage'.", param="braid")
        if question.retrieval is not None and not principal.may(Scope.MANAGE):
            raise Denied(
                "Searching stores that the request names takes a key with the scope 'manage'. Ask an assistant, whose "
                "release names its stores.",
                param="tools",
            )
        if options is not None and options.filters is not None:
            check_filters(options.filters, param="braid.filters")
        trace = AnswerTrace(principal.tenant, question, key=principal.key)
        generation = Generation(trace, self._drain, self._metrics, self._answers, self._sources)
        try:
            await self._start(generation, on_wait)
        except BaseException as error:
            if isinstance(error, BraidError):
                error.param = question.name_for_client(error.param)
            await generation.aclose(error)
            raise
        return generation

    async def _start(self, generation: Generation, on_wait: Callable[[AnswerTrace], None] | None) -> None:
        with generation.preparing:
            await self._prepare(generation.trace)
            if on_wait is not None:
                on_wait(generation.trace)
            await self._connect(generation)
        self._drain.check_expired()  # it may have expired in the very moment in which the first byte came

    async def _prepare(self, trace: AnswerTrace) -> None:
        question, base_model = trace.question, self._counter.base_model
        if question.model == base_model and question.options is None and question.retrieval is None:
            trace.target = Target(base_model)  # nothing of a tenant's is in it, so nothing needs to be read
        else:
            await self._look_up(trace, base_model)
        await self._traits.settle()
        trace.prompt = await compose(
            question,
            trace.target,
            trace.evidence,
            trace.tenant,
            self._counter,
            folds_system=self._traits.folds_system,
            markers=self._traits.markers,
        )
        trace.mark_composed()

    async def _look_up(self, trace: AnswerTrace, base_model: str) -> None:
        """Find the target and its passages; no transaction is open while the engine or the retriever is asked."""
        trace.target = await self._resolver.resolve(trace.tenant, trace.question, base_model)
        retrieval = trace.target.retrieval
        if retrieval is None or not trace.question.text:
            return
        trace.decision = await self._decider.decide(trace.tenant, trace.question, retrieval)
        if not trace.decision.searched:
            trace.evidence = SKIPPED
            return
        options = trace.question.options
        filters = None if options is None else options.filters
        trace.evidence = await retrieve(
            self._database, self._retriever, trace.tenant, retrieval, None, trace.decision.queries, filters
        )
        trace.target = self._resolver.name_searched(trace.target, trace.evidence.indexes)
        trace.mark_retrieved()

    async def _connect(self, generation: Generation) -> None:
        """Send the body to a replica; one that fails before its first byte is replaced by another.

        What may have been the request's own fault is replaced once, so that it doesn't bring down one after another;
        what never reached an engine's work, by every one that is left. One that has lost the adapter, as by a restart,
        may be the one to take it again.
        """
        adapter = generation.trace.target.adapter
        tried: list[Replica] = []
        failure: EngineError | None = None
        attempts = 0
        while attempts < _ATTEMPTS:
            try:
                lease = await self._pick(generation.trace.tenant, adapter, tried)
            except EngineError as error:
                if failure is not None:
                    raise failure from error
                raise
            try:
                await generation.connect(lease)
                lease.note_answer()
                return
            except EngineTimeout as error:  # another one would take as long again, and the client has waited already
                lease.note_failure(error)
                _warn_of_failure(generation, lease, error)
                raise
            except (EngineRefused, EngineUnreachable) as error:
                failure = self._take_failure(lease, adapter, error, tried)
            await generation.disconnect()
            _warn_of_failure(generation, lease, failure)
            attempts += not _is_untouched(failure)
        assert failure is not None
        raise failure

    def _take_failure(
        self, lease: Lease, adapter: str | None, error: EngineRefused | EngineUnreachable, tried: list[Replica]
    ) -> EngineError:
        """Return a failure that another replica may not have.

        Raises:
            BraidError: Every replica would have it.
        """
        status = error.engine_status if isinstance(error, EngineRefused) else None
        if adapter is not None and status == 404:
            lease.note_missing_adapter()
            return AdapterNotLoaded(adapter, f"{lease.engine.url} doesn't know it any more")
        if isinstance(error, EngineRefused) and status in _OF_THE_REQUEST:
            raise explain_refusal(error, self._counter.context) from error
        lease.note_failure(error)
        tried.append(lease.replica)
        return error

    async def _pick(self, tenant: str, adapter: str | None, tried: list[Replica]) -> Lease:
        """Pick a replica; an adapter that is just being loaded, or again after a restart, is waited for a little.

        One that waits for another base model never comes, nor one that was deleted, so nobody waits for them.
        """
        try:
            return self._pool.pick(adapter, tried)
        except AdapterNotLoaded as missing:
            if tried:
                raise
            async with self._database.read() as session:
                await check_set_aside(session, tenant, missing.name)
                await check_kept(session, tenant, missing.name)
            await self._reconciler.wait_until_resident(missing.name, _ADAPTER_PATIENCE_SECONDS, everywhere=False)
            return self._pool.pick(adapter)


def _warn_of_failure(generation: Generation, lease: Lease, failure: EngineError) -> None:
    _log.warning(
        "replica_failed_before_first_byte",
        answer=generation.trace.id,
        replica=lease.replica.name,
        in_a_row=lease.replica.failed_answers,
        reason=failure.detail,
    )


def _is_untouched(failure: EngineError) -> bool:
    """Tell whether no engine has begun to work on the request, which therefore has done no harm."""
    return isinstance(failure, EngineBusy) or (isinstance(failure, EngineUnreachable) and failure.phase == "connect")
