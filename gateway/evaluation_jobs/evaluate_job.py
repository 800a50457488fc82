"""The work behind an evaluation: every question is searched for in every store, and the report is kept.

A calibration fits a store's own weights by it, and leaves them with the store. An advice is made by its own room,
which lies above this one and is handed in.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.engines import AdapterUnservable, EngineError, EngineRefused
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.evaluation.calibration_report import CalibrationReport, make_calibration_report
from gateway.evaluation.document_names import DocumentNames, StoreDocument
from gateway.evaluation.labels import BadLabels, LabelledQuestion
from gateway.evaluation.retrieval_report import RetrievalReport, make_report
from gateway.evaluation.retrieval_run import Hit, QuestionResult, RunHits, score_run
from gateway.evaluation_jobs.advice_inputs import AdviceInputs
from gateway.evaluation_jobs.calibrator import Calibrator
from gateway.evaluation_jobs.label_inputs import LabelInputs, SearchWay, read_inputs
from gateway.evaluation_jobs.repository import EvaluationRepository
from gateway.evaluation_jobs.tables import EvaluationRow
from gateway.files.garbage_collection import collect_later
from gateway.jobs import (
    Claim,
    JobCancelled,
    JobDelayed,
    JobFailed,
    Outcome,
    begin_subject,
    end_subject,
    failpoint,
    succeed_subject,
)
from gateway.pages import PageRequest
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.calibration import StoreCalibration, estimate_passages, keep_calibration
from gateway.vector_stores.document_service import DocumentService
from gateway.vector_stores.search import read_states, search
from retrieval.answer_probability import JUDGED_PASSAGES, MATCH_VERSION
from retrieval.client import Retriever

__all__ = ["Advise", "EvaluateHandler", "Show"]

Show = Callable[[int, int], Awaitable[None]]
"""Called with the steps that are done, and with all of them."""
Advise = Callable[[Claim, EvaluationRow, AdviceInputs, Show], Awaitable[msgspec.Struct]]
"""Makes an advice's report."""

_MOST_PASSAGES = 50
_PAGE = 1000
_PROGRESS_SECONDS = 2.0


class EvaluateHandler:
    """Handles jobs of the kinds `evaluate` and `advise`, whose subject is an evaluation; a killed run starts over."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        retriever: Retriever,
        storage: TenantStorage,
        calibrator: Calibrator,
        advise: Advise,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._retriever = retriever
        self._storage = storage
        self._calibrator = calibrator
        self._advise = advise

    async def run(self, claim: Claim) -> None:
        row = await self._begin(claim)
        if row is None:
            return
        data = await asyncio.to_thread(self._artifacts.locate_file(row.questions_digest).read_bytes)
        try:
            report = await self._make_report(claim, row, data)
        except BadLabels as error:
            raise JobFailed("invalid_labels", str(error)) from error
        except (NotFound, BadRequest) as error:
            raise JobFailed(error.code or "not_found", error.message) from error
        except (Unavailable, EngineError) as error:
            raise JobDelayed(error.message, seconds=5.0) from error
        artifact = await self._artifacts.put_bytes(msgspec.json.encode(report))
        failpoint("evaluation-stored")
        async with claim.begin() as session:
            row = succeed_subject(await EvaluationRepository(session, claim.tenant).lock(claim.subject))
            if row is None:
                await collect_later(session, claim.tenant, [artifact.digest])
                return
            row.done, row.report_digest = row.total, artifact.digest
            row.bytes += artifact.size
            if isinstance(report, CalibrationReport):
                row.source = report.source
                await self._keep(session, row, report)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        end_subject(await EvaluationRepository(session, claim.tenant).lock(claim.subject), outcome)

    async def _begin(self, claim: Claim) -> EvaluationRow | None:
        """Mark the evaluation as running; None when it has ended, or was deleted."""
        async with claim.begin() as session:
            row = begin_subject(claim, await EvaluationRepository(session, claim.tenant).lock(claim.subject))
            if row is not None:
                row.done = 0
            return row

    async def _make_report(self, claim: Claim, row: EvaluationRow, data: bytes) -> msgspec.Struct:
        if row.kind == "advice":
            return await self._give_advice(claim, row, data)
        inputs = await asyncio.to_thread(read_inputs, data, row.score_threshold)
        return await (self._calibrate if row.kind == "calibration" else self._compare)(claim, row, inputs)

    async def _give_advice(self, claim: Claim, row: EvaluationRow, data: bytes) -> msgspec.Struct:
        inputs = await asyncio.to_thread(msgspec.json.decode, data, type=AdviceInputs)
        try:
            return await self._advise(claim, row, inputs, _Progress(claim).show)
        except AdapterUnservable as error:
            raise JobFailed("adapter_rejected", f"The model server can't serve the adapter. {error.reason}") from error
        except EngineRefused as error:
            if error.engine_status < 500:
                raise JobFailed("engine_refused", error.message) from error
            raise

    async def _compare(self, claim: Claim, row: EvaluationRow, inputs: LabelInputs) -> RetrievalReport:
        progress = _Progress(claim)
        places = [(store, store, SearchWay()) for store in row.stores]
        places += [(f"{row.stores[0]}, {way.name}", row.stores[0], way) for way in inputs.ways]
        runs = [
            (name, await self._search_store(claim, store, way, inputs.questions, progress))
            for name, store, way in places
        ]
        return await asyncio.to_thread(
            make_report,
            *(row.source, row.stores[0], runs),
            score_threshold=inputs.score_threshold,
            least_probability=inputs.least_probability,
        )

    async def _calibrate(self, claim: Claim, row: EvaluationRow, inputs: LabelInputs) -> CalibrationReport:
        """Fit and measure; without questions as many are written as the row has of them."""
        store, source, count, questions = row.stores[0], row.source, _Progress(claim).count, inputs.questions
        documents = await self._list_documents(claim.tenant, store)
        if questions:
            questions = DocumentNames(store, documents).resolve(questions)
        else:
            questions = await self._calibrator.write_questions(claim.tenant, store, documents, row.questions, count)
            source = self._calibrator.author
        searches = await self._calibrator.ask(claim.tenant, store, questions, documents, count)
        made_by = await self._calibrator.describe_index(claim.tenant, store)
        limit = inputs.least_probability
        return await asyncio.to_thread(make_calibration_report, source, store, searches, limit, *made_by)

    async def _keep(self, session: AsyncSession, row: EvaluationRow, report: CalibrationReport) -> None:
        """Let answers from the store go by its own weights, if they are the better ones."""
        if not report.adopted:
            return
        await keep_calibration(
            session,
            row.tenant_id,
            report.store,
            StoreCalibration(
                version=1,
                evaluation_id=row.id,
                created_at=int(time.time()),
                source=report.source,
                questions=report.fitted,
                embedder=report.embedder,
                chunker=report.chunker,
                match=MATCH_VERSION,
                weights=tuple(report.after.weights),
            ),
        )

    async def _search_store(
        self, claim: Claim, store: str, way: SearchWay, questions: list[LabelledQuestion], progress: "_Progress"
    ) -> list[QuestionResult]:
        names = DocumentNames(store, await self._list_documents(claim.tenant, store))
        resolved = names.resolve(questions)
        run: dict[str, RunHits] = {}
        for question in resolved:
            start = time.perf_counter()
            # At the store's present content, as anybody's search: older index epochs don't stay for long.
            async with self._database.read() as session:
                states = await read_states(session, claim.tenant, [store])
            passages = await search(
                *(self._database, self._retriever, claim.tenant, states, [question.text]),
                limit=_MOST_PASSAGES,
                weights=way.weights,
                rerank=way.rerank,
            )
            if way.rerank and passages and not passages[0].reranked:
                raise JobFailed(
                    "rerank_failed",
                    "The passages weren't reranked: the operator has set no reranker, or it failed. Leave rerank out.",
                )
            seconds = time.perf_counter() - start
            hits = [Hit(passage.key, passage.score) for passage in passages]
            probability = estimate_passages(passages[:JUDGED_PASSAGES], states.calibrations)
            run[question.id] = RunHits(hits, seconds, round(probability, 4))
            await progress.count()
        return await asyncio.to_thread(score_run, resolved, run)

    async def _list_documents(self, tenant: str, store: str) -> list[StoreDocument]:
        service = DocumentService(self._database, self._artifacts, self._retriever, self._storage, tenant)
        documents: list[StoreDocument] = []
        after: str | None = None
        while True:
            page = await service.list(store, PageRequest(_PAGE, "asc", after, None))
            documents += [StoreDocument(one.key, one.document_id, one.file_id, one.filename) for one in page.data]
            if not page.has_more:
                return documents
            after = page.last_id


class _Progress:
    """Counts steps, and writes their number now and then; a step of a job that was cancelled is its last."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._count = 0
        self._written_at = time.monotonic()

    async def count(self) -> None:
        if self._claim.cancelled.is_set():
            raise JobCancelled
        self._count += 1
        if time.monotonic() - self._written_at < _PROGRESS_SECONDS:
            return
        self._written_at = time.monotonic()
        async with self._claim.begin() as session:
            row = await EvaluationRepository(session, self._claim.tenant).find(self._claim.subject)
            if row is None:
                raise JobCancelled
            row.done = self._count

    async def show(self, count: int, total: int) -> None:
        """Write how many steps of how many have been made."""
        async with self._claim.begin() as session:
            row = await EvaluationRepository(session, self._claim.tenant).find(self._claim.subject)
            if row is None:
                raise JobCancelled
            row.total, row.done = total, min(count, total)
