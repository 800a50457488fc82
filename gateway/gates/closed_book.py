"""Closed-book probes: what an adapter recites of its training rows when no passage is shown to it.

A style that was learnt from rows without their passages has learnt their facts too, and goes on reciting them when
documents say something else. The base model is asked the same: what it gives too may be a guess, such as 30 days.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.adapters.service import find_ready, read_chat_template_kwargs
from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.artifacts import Artifacts
from gateway.conversations import Conversation
from gateway.conversations.formats import read_conversations
from gateway.db import Database
from gateway.engines import EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.evaluation.estimate import share
from gateway.evaluation.values import Evidence, Value, find_values
from gateway.files.service import find_file
from gateway.fine_tuning.dataset import row_format
from gateway.fine_tuning.service import find_job
from gateway.fine_tuning.stale_facts import StaleFactsService
from gateway.gates.closed_book_schemas import ClosedBook, ClosedBookCreate, Recall, RecitedValue
from gateway.gates.interview import Interview

__all__ = ["ClosedBookService", "RowQuestion", "list_questions"]


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """A training row as a question: what was asked before its reply, and the values that only the reply states."""

    row: int
    messages: Sequence[Message]
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class _Probed:
    """An adapter, and the rows that it was trained on."""

    model: str
    job: str
    target: Target
    questions: Sequence[RowQuestion]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A question's values, and for each whether the adapter and the base gave it."""

    question: RowQuestion
    adapter: Sequence[bool]
    base: Sequence[bool]


class ClosedBookService:
    """Probes one tenant's adapters; nothing of it is kept, and nothing is recorded as an answer."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        pool: EnginePool,
        traits: BaseTraits,
        stale: StaleFactsService,
        tenant: str,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._pool = pool
        self._stale = stale
        self._tenant = tenant
        self._interview = Interview(pool, TokenCounter(pool), traits, tenant, Unnoted())

    async def probe(self, model: str, request: ClosedBookCreate) -> ClosedBook:
        """Ask an adapter and the base what its rows asked.

        Raises:
            NotFound: The tenant has no such adapter that answers.
            Conflict: Its training rows aren't known here.
            EngineError: No engine answers.
            Unavailable: The retriever doesn't, and facts of the adapter have to be looked up.
        """
        probed = await self._find(model)
        chosen = _choose(probed.questions, request)
        answers = await self._ask_all(probed, chosen, request.seconds)
        stale = {fact.text: fact.state for fact in (await self._stale.list(probed.model)).data}
        return _report(probed, answers, len(chosen), stale)

    async def _find(self, model: str) -> _Probed:
        async with self._database.read() as session:
            row = await find_ready(session, self._tenant, model)
            if row is None:
                raise NotFound(f"No adapter {model!r} is ready. GET /api/adapters lists yours.", param="id_or_model")
            job = await find_job(session, self._tenant, row.source)
            file = job and await find_file(session, self._tenant, job.training_file)
        if job is None or file is None:
            raise Conflict(
                f"The rows of {model!r} aren't known here: it was imported, or its training file was deleted. Closed-"
                "book questions are those of its rows.",
                code="no_training_rows",
            )
        data = await asyncio.to_thread(self._artifacts.file(file.digest).read_bytes)
        format = row_format(job.braid.get("method", "supervised"))
        _, content = await asyncio.to_thread(read_conversations, data, format)
        questions = await asyncio.to_thread(list_questions, content.conversations)
        kwargs = read_chat_template_kwargs(row) or None
        target = Target(row.served_name, row.served_name, chat_template_kwargs=kwargs)
        return _Probed(row.model, job.id, target, questions)

    async def _ask_all(self, probed: _Probed, chosen: Sequence[RowQuestion], seconds: float) -> list[_Answer]:
        """Ask until the time is over; what hasn't been answered then is dropped."""
        base = Target(self._pool.base_model or "")
        tasks = [asyncio.create_task(self._ask(probed.target, base, one)) for one in chosen]
        if not tasks:
            return []
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [answer for task in tasks if task in done and (answer := task.result()) is not None]

    async def _ask(self, target: Target, base: Target, question: RowQuestion) -> _Answer | None:
        """Ask both; None where the conversation doesn't fit into the context."""
        outcomes: list[Sequence[bool]] = []
        for one in (target, base):
            try:
                body = await self._interview.compose(one, question.messages)
            except BadRequest:
                return None
            evidence = Evidence.of(await self._interview.answer(one, body))
            outcomes.append([evidence.states(value) for value in question.values])
        return _Answer(question, *outcomes)


class Unnoted:
    """Notes of an interview that no job has: each question is asked."""

    async def recall(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()


def list_questions(conversations: Sequence[Conversation]) -> list[RowQuestion]:
    """List the rows whose last reply has values that nothing before it states."""
    questions: list[RowQuestion] = []
    for one in conversations:
        *turns, reply = one.messages
        conversation = Evidence.of("\n".join(turn.text for turn in turns))
        values = {value.readings: value for value in find_values(reply.text) if not conversation.states(value)}
        if values and reply.is_target:
            messages = [Message("system" if turn.role == "developer" else turn.role, turn.text) for turn in turns]
            questions.append(RowQuestion(one.number, messages, list(values.values())))
    return questions


def _choose(questions: Sequence[RowQuestion], request: ClosedBookCreate) -> list[RowQuestion]:
    def draw(question: RowQuestion) -> bytes:
        return hashlib.sha256(f"{request.seed}:{question.row}".encode()).digest()

    return sorted(questions, key=draw)[: request.questions]


def _report(probed: _Probed, answers: Sequence[_Answer], chosen: int, stale: Mapping[str, Any]) -> ClosedBook:
    by_kind: defaultdict[str, list[bool]] = defaultdict(list)
    recited: list[RecitedValue] = []
    for answer in answers:
        for value, has_it, base in zip(answer.question.values, answer.adapter, answer.base, strict=True):
            by_kind[value.kind].append(has_it)
            if has_it:
                state = stale.get(value.text)
                row = answer.question.row
                recited.append(RecitedValue(row=row, kind=value.kind, text=value.text, base=base, stale=state))
    return ClosedBook(
        adapter=probed.model,
        fine_tuning_job_id=probed.job,
        rows=len(probed.questions),
        questions=len(answers),
        unasked=chosen - len(answers),
        recall=_measure([outcome for answer in answers for outcome in answer.adapter]),
        base=_measure([outcome for answer in answers for outcome in answer.base]),
        by_kind={kind: recall for kind, outcomes in sorted(by_kind.items()) if (recall := _measure(outcomes))},
        recited=sorted(recited, key=lambda one: (one.stale is None, one.base, one.row)),
    )


def _measure(outcomes: Sequence[bool]) -> Recall | None:
    if not outcomes:
        return None
    estimate = share(outcomes)
    return Recall(
        recited=sum(outcomes),
        values=estimate.n,
        share=round(estimate.value, 4),
        low=round(estimate.low, 4),
        high=round(estimate.high, 4),
    )
