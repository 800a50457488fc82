"""Closed-book checks: what an adapter recites of its training rows when no passage is shown to it.

A style that was learnt from rows without their passages has learnt their facts too, and goes on reciting them when
documents say something else. The base model is asked the same: what it gives too may be a guess, such as 30 days.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.adapters.service import find_answering, read_chat_template_kwargs
from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.artifacts import Artifacts
from gateway.conversations import Conversation
from gateway.conversations.formats import read_conversations
from gateway.db import Database
from gateway.engines import EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BadRequest, Conflict, NotFound, TooManyRequests
from gateway.evaluation.estimate import estimate_share
from gateway.evaluation.values import TextValues, Value, find_values
from gateway.files.service import find_file
from gateway.fine_tuning.dataset import choose_row_format
from gateway.fine_tuning.service import find_job
from gateway.fine_tuning.stale_facts import StaleFactsService
from gateway.gates.closed_book_schemas import ClosedBook, ClosedBookCreate, Recall, RecitedValue
from gateway.gates.interview import Interview

__all__ = ["ClosedBookPlaces", "ClosedBookService", "RowQuestion", "draw_questions", "read_question"]

_CHECKS_AT_ONCE = 4
_LOOKED_AT = 5_000
"""Of the rows in which values are looked for: where so many have too few, the others hardly have more."""


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """A training row as a question: what was asked before its reply, and the values that only the reply states."""

    row: int
    messages: Sequence[Message]
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class _Subject:
    """An adapter, how many rows it was trained on, and those that are asked."""

    model: str
    job: str
    target: Target
    rows: int
    questions: Sequence[RowQuestion]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A question's values, and for each whether the adapter and the base gave it."""

    question: RowQuestion
    adapter: Sequence[bool]
    base: Sequence[bool]


class ClosedBookPlaces:
    """The places of a gateway process for checks: each holds a training file and asks engines for minutes."""

    def __init__(self, most: int = _CHECKS_AT_ONCE) -> None:
        self._most = most
        self._tenants: set[str] = set()

    @contextmanager
    def take(self, tenant: str) -> Generator[None]:
        """Take a place until the block ends.

        Raises:
            TooManyRequests: The tenant has one already, or all are taken.
        """
        if tenant in self._tenants or len(self._tenants) >= self._most:
            whose = "of yours" if tenant in self._tenants else "of others"
            raise TooManyRequests(
                f"Closed-book checks {whose} are running: one of a tenant, and {self._most} in all, are the most at "
                "once. Ask again in a minute.",
                code="too_many_closed_book_checks",
            )
        self._tenants.add(tenant)
        try:
            yield
        finally:
            self._tenants.remove(tenant)


class ClosedBookService:
    """Checks one tenant's adapters; nothing of it is kept, and nothing is recorded as an answer."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        pool: EnginePool,
        traits: BaseTraits,
        stale: StaleFactsService,
        places: ClosedBookPlaces,
        tenant: str,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._pool = pool
        self._stale = stale
        self._places = places
        self._tenant = tenant
        self._interview = Interview(pool, TokenCounter(pool), traits, tenant, WithoutNotes())

    async def check_recall(self, id_or_model: str, request: ClosedBookCreate) -> ClosedBook:
        """Ask an adapter and the base what its rows asked.

        Raises:
            TooManyRequests: Another check of the tenant runs, or as many as a gateway process takes.
            NotFound: The tenant has no such adapter that answers.
            Conflict: Its training rows aren't known here.
            EngineError: No engine answers.
            Unavailable: The retriever doesn't, and facts of the adapter have to be looked up.
        """
        with self._places.take(self._tenant):
            subject = await self._find(id_or_model, request)
            # What may fail comes before the minutes of asking.
            stale = {fact.text: fact.state for fact in (await self._stale.list(subject.model)).data}
            answers = await self._ask_all(subject, request.seconds)
            return _report(subject, answers, stale)

    async def _find(self, id_or_model: str, request: ClosedBookCreate) -> _Subject:
        async with self._database.read() as session:
            row = await find_answering(session, self._tenant, id_or_model)
            if row is None:
                raise NotFound(
                    f"No adapter {id_or_model!r} is ready. GET /api/adapters lists yours.", param="id_or_model"
                )
            job = await find_job(session, self._tenant, row.source)
            file = job and await find_file(session, self._tenant, job.training_file)
        if job is None or file is None:
            raise Conflict(
                f"The rows of {row.model!r} aren't known here: it was imported, or its training file was deleted. "
                "Closed-book questions are those of its rows.",
                code="no_training_rows",
            )
        data = await asyncio.to_thread(self._artifacts.locate_file(file.digest).read_bytes)
        format = choose_row_format(job.braid.get("method", "supervised"))
        rows, questions = await asyncio.to_thread(draw_questions, data, format, request.questions, request.seed)
        kwargs = read_chat_template_kwargs(row) or None
        target = Target(row.served_name, row.served_name, chat_template_kwargs=kwargs)
        return _Subject(row.model, job.id, target, rows, questions)

    async def _ask_all(self, subject: _Subject, seconds: float) -> list[_Answer]:
        """Ask until the time is over; what hasn't been answered then is dropped."""
        base = Target(self._pool.base_model or "")
        tasks = [asyncio.create_task(self._ask(subject.target, base, one)) for one in subject.questions]
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
            evidence = TextValues.of(await self._interview.answer(one, body))
            outcomes.append([evidence.states(value) for value in question.values])
        return _Answer(question, *outcomes)


class WithoutNotes:
    """Notes of an interview that no job has: each question is asked."""

    async def recall(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()


def draw_questions(data: bytes, format: str, most: int, seed: int) -> tuple[int, list[RowQuestion]]:
    """Draw rows of a training file that can be asked, by the seed; return how many rows it has with them.

    Only as many rows are read as it takes: a file may have tens of thousands.
    """
    lines = data.split(b"\n")
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    numbers.sort(key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).digest())
    questions: list[RowQuestion] = []
    for number in numbers[:_LOOKED_AT]:
        if len(questions) == most:
            break
        _, content = read_conversations(lines[number - 1], format)
        drawn = [read_question(one, number) for one in content.conversations]
        questions += [one for one in drawn if one is not None]
    return len(numbers), questions


def read_question(conversation: Conversation, number: int) -> RowQuestion | None:
    """Return a row as a question; None where its last reply has no value that nothing before it states."""
    *turns, reply = conversation.messages
    earlier = TextValues.of("\n".join(turn.text for turn in turns))
    values = {value.readings: value for value in find_values(reply.text) if not earlier.states(value)}
    if not values or not reply.is_target:
        return None
    messages = [Message("system" if turn.role == "developer" else turn.role, turn.text) for turn in turns]
    return RowQuestion(number, messages, list(values.values()))


def _report(subject: _Subject, answers: Sequence[_Answer], stale: Mapping[str, Any]) -> ClosedBook:
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
        adapter=subject.model,
        fine_tuning_job_id=subject.job,
        rows=subject.rows,
        questions=len(answers),
        unasked=len(subject.questions) - len(answers),
        recall=_measure([outcome for answer in answers for outcome in answer.adapter]),
        base=_measure([outcome for answer in answers for outcome in answer.base]),
        by_kind={kind: recall for kind, outcomes in sorted(by_kind.items()) if (recall := _measure(outcomes))},
        recited=sorted(recited, key=lambda one: (one.stale is None, one.base, one.row)),
    )


def _measure(outcomes: Sequence[bool]) -> Recall | None:
    if not outcomes:
        return None
    estimate = estimate_share(outcomes)
    return Recall(
        recited=sum(outcomes),
        values=estimate.n,
        share=round(estimate.value, 4),
        low=round(estimate.low, 4),
        high=round(estimate.high, 4),
    )
