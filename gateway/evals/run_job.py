"""The work behind a run: each row is answered and graded, a few at once, and written as it is done."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.evals.criteria import CRITERIA
from gateway.evals.data_sources import JsonlDataSource, RunDataSource
from gateway.evals.grading import Grader
from gateway.evals.item_answers import AnswerUsage, Asker, Complete, ItemFailed
from gateway.evals.items import DataItem, decode_items
from gateway.evals.output_items import ItemOutcome, OutputItemMaker
from gateway.evals.repository import EvalOutputItemRepository, EvalRepository, EvalRunRepository
from gateway.evals.tables import EvalRunRow
from gateway.ids import new_id
from gateway.jobs import (
    FINAL_STATUSES,
    Claim,
    JobCancelled,
    JobDelayed,
    Outcome,
    begin_subject,
    end_subject,
    failpoint,
    succeed_subject,
)
from gateway.tenants.authenticator import Principal, Scope
from retrieval.client import Retriever, RetrieverBusy, RetrieverFailed, RetrieverUnavailable, TextTooLong
from retrieval.messages import EmbedRequest

__all__ = ["EvalRunHandler"]

_AT_ONCE = 8
_AWAY_SECONDS = 2.0
_SOURCE: TypeAdapter[Any] = TypeAdapter(RunDataSource)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run as it stands: what to ask, by what to grade, and which rows have their output items."""

    digest: str
    source: Any
    criteria: Sequence[Any]
    there: set[int]
    key: str


class EvalRunHandler:
    """Handles jobs of the kind `eval_run`; their subject is a run.

    One that was killed goes on: rows that have their output items aren't asked again.
    """

    def __init__(self, artifacts: Artifacts, complete: Complete, retriever: Retriever) -> None:
        self._artifacts = artifacts
        self._complete = complete
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        plan = await self._begin(claim)
        if plan is None:
            return
        data = await asyncio.to_thread(self._artifacts.locate_file(plan.digest).read_bytes)
        rows = await asyncio.to_thread(decode_items, data)
        # A run asks as a chat key does: it switches no strands and names no stores.
        principal = Principal(claim.tenant, "", plan.key, frozenset({Scope.CHAT.value}))
        asker = Asker(self._complete, principal)
        source = None if isinstance(plan.source, JsonlDataSource) else plan.source
        maker = OutputItemMaker(source, asker, Grader(plan.criteria, asker, self._embed))
        open_rows = [(number, row) for number, row in enumerate(rows) if number not in plan.there]
        await _answer_all(claim, maker, open_rows)
        async with claim.begin() as session:
            succeed_subject(await EvalRunRepository(session, claim.tenant).lock(claim.subject))

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        end_subject(await EvalRunRepository(session, claim.tenant).lock(claim.subject), outcome)

    async def _begin(self, claim: Claim) -> _Plan | None:
        """Mark the run as running; None when it has ended, or was deleted."""
        async with claim.begin() as session:
            row = begin_subject(claim, await EvalRunRepository(session, claim.tenant).lock(claim.subject))
            if row is None:
                return None
            eval_row = await EvalRepository(session, claim.tenant).get(row.eval_id)
            # The rows are in the artifacts, wherever they came from.
            source = {**row.data_source, "source": {"type": "file_id", "id": ""}}
            return _Plan(
                row.items_digest,
                _SOURCE.validate_python(source),
                CRITERIA.validate_python(eval_row.testing_criteria),
                await EvalOutputItemRepository(session, claim.tenant).list_numbers(row.id),
                row.key,
            )

    async def _embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        try:
            return (await self._retriever.embed(EmbedRequest(list(texts)))).vectors
        except TextTooLong as error:
            raise ItemFailed("context_length_exceeded", str(error)) from error
        except (RetrieverBusy, RetrieverUnavailable, RetrieverFailed) as error:
            raise JobDelayed("The embedder doesn't answer now.", seconds=_AWAY_SECONDS) from error


async def _answer_all(claim: Claim, maker: OutputItemMaker, open_rows: Sequence[tuple[int, DataItem]]) -> None:
    """Answer rows, a few at once; the first fault that concerns them all, or a cancellation, ends it."""
    writer, rows = _Writer(claim), iter(open_rows)

    async def work() -> None:
        for number, row in rows:
            await writer.put(await maker.make(number, row))

    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(claim))
            await asyncio.wait([group.create_task(work()) for _ in range(_AT_ONCE)])
            watch.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _watch(claim: Claim) -> None:
    await claim.cancelled.wait()
    raise JobCancelled


class _Writer:
    """Writes output items, with the run's tallies in the same unit of work; those that come meanwhile go together."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._waiting: list[ItemOutcome] = []
        self._writing = asyncio.Lock()

    async def put(self, outcome: ItemOutcome) -> None:
        """Return when the outcome is written.

        Raises:
            JobCancelled: The run has ended, or was deleted.
        """
        self._waiting.append(outcome)
        async with self._writing:
            if self._waiting:
                outcomes, self._waiting = self._waiting, []
                await self._write(outcomes)

    async def _write(self, outcomes: Sequence[ItemOutcome]) -> None:
        claim, now = self._claim, int(time.time())
        async with claim.begin() as session:
            run = await EvalRunRepository(session, claim.tenant).lock(claim.subject)
            if run is None or run.status in FINAL_STATUSES:
                raise JobCancelled
            await EvalOutputItemRepository(session, claim.tenant).add_rows(
                [
                    {
                        "id": new_id("outputitem_"),
                        "created_at": now,
                        "run_id": run.id,
                        "number": outcome.number,
                        "status": outcome.status,
                        "item": outcome.item,
                        "sample": outcome.sample,
                        "results": msgspec.to_builtins(outcome.grades),
                    }
                    for outcome in outcomes
                ]
            )
            for outcome in outcomes:
                _count(run, outcome)
        failpoint("eval-items-written")


def _count(run: EvalRunRow, outcome: ItemOutcome) -> None:
    """Add an output item to its run's tallies."""
    run.passed += outcome.status == "pass"
    run.failed += outcome.status == "fail"
    run.errored += outcome.status == "error"
    if outcome.grades:
        run.criteria_results = [
            {
                "passed": counts["passed"] + grade.passed,
                "failed": counts["failed"] + (not grade.passed and not grade.failed),
            }
            for counts, grade in zip(run.criteria_results, outcome.grades, strict=True)
        ]
    for model, usage in outcome.usage:
        run.usage = _add_usage(run.usage, model, usage)


def _add_usage(sums: Sequence[Mapping[str, Any]], model: str, usage: AnswerUsage) -> list[Any]:
    others = [one for one in sums if one["model_name"] != model]
    previous_sums = {name: number for one in sums if one["model_name"] == model for name, number in one.items()}
    counts = {
        "invocation_count": 1,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
    }
    sums_of_model = {name: previous_sums.get(name, 0) + number for name, number in counts.items()}
    return sorted([*others, {"model_name": model, **sums_of_model}], key=lambda one: one["model_name"])
