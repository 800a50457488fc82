"""Evaluations as their owner sees them: made, listed, cancelled, read. The work itself is `evaluate_job`'s."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.artifacts import Artifacts
from gateway.db import Database, delete_before
from gateway.errors import BadRequest, Conflict
from gateway.evaluation.label_rows import read_rows
from gateway.evaluation.labels import BadLabels, LabelledQuestion, merge_questions
from gateway.evaluation_jobs.advice_inputs import AdviceInputs, check_adapter, pin_prompt, read_advice_rows
from gateway.evaluation_jobs.label_inputs import LabelInputs, SearchWay
from gateway.evaluation_jobs.repository import EvaluationRepository
from gateway.evaluation_jobs.schemas import (
    MOST_QUESTIONS,
    Evaluation,
    EvaluationCreate,
    EvaluationDeleted,
    EvaluationError,
    EvaluationList,
    EvaluationQuestion,
    SearchOptions,
)
from gateway.evaluation_jobs.tables import EvaluationRow
from gateway.files import FileRow
from gateway.files.garbage_collection import collect_later
from gateway.files.service import get_file
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.search import read_states
from retrieval.messages import Weights

__all__ = ["ADVISE", "EVALUATE", "EvaluationService", "delete_old_evaluations"]

EVALUATE = "evaluate"
ADVISE = "advise"
"""A kind of its own with the same handler: it asks an engine for hours, and others' searches don't wait for it."""
_MOST_QUEUED = 20
_MOST_BYTES = 64 * 1024**2
_ADVICE_ROWS = 100
"""Asked in each way where the request says nothing: enough for a difference of a fifth to show."""


async def delete_old_evaluations(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` evaluations of any tenant that ended before a Unix time, and return the number."""
    return await delete_before(session, EvaluationRow.finished_at, before, limit)


class EvaluationService:
    """One tenant's evaluations. Each method is its own unit of work: files are read and written in none."""

    def __init__(self, database: Database, artifacts: Artifacts, storage: TenantStorage, tenant: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._tenant = tenant

    async def create(self, request: EvaluationCreate) -> Evaluation:
        """Check the request and its questions, and queue the job.

        Raises:
            BadRequest: Questions or conversations can't be used.
            StoreExpired: A store has expired.
            NotFound: A store, the file, the adapter or the prompt doesn't exist.
            TooManyRequests: So many evaluations wait already.
            PayloadTooLarge: The tenant has no room for the questions.
        """
        stores = list(dict.fromkeys(one for one in (request.vector_store_id, *request.against) if one is not None))
        async with self._database.read() as session:
            await read_states(session, self._tenant, stores)
        content = await self._read_content(request, stores)
        artifact = await self._artifacts.put_bytes(content.data)
        async with self._database.begin() as session:
            row = EvaluationRepository(session, self._tenant).add(
                EvaluationRow(
                    id=new_id("eval_"),
                    created_at=int(time.time()),
                    kind=request.kind,
                    status="queued",
                    source=content.source,
                    stores=stores,
                    score_threshold=_limit_of(request),
                    questions_digest=artifact.digest,
                    bytes=artifact.size,
                    questions=content.number,
                    total=content.total,
                    done=0,
                )
            )
            kind = ADVISE if request.kind == "advice" else EVALUATE
            await jobs.queue_subject(session, row, kind, most=_MOST_QUEUED)
            await self._storage.admit(session, self._tenant, row.bytes)
            return _to_schema(row)

    async def list(self, request: PageRequest) -> EvaluationList:
        async with self._database.read() as session:
            page = await EvaluationRepository(session, self._tenant).list_page(**asdict(request))
        return EvaluationList.of([_to_schema(row) for row in page.rows], page)

    async def get(self, id: str) -> Evaluation:
        async with self._database.read() as session:
            return _to_schema(await self._find(session, id))

    async def find_report(self, id: str) -> Path:
        """Return the path of an evaluation's report.

        Raises:
            Conflict: It hasn't succeeded.
        """
        async with self._database.read() as session:
            row = await self._find(session, id)
        if row.report_digest is None:
            raise Conflict(
                f"The evaluation {id} has no report: it is {row.status}. Its report is there once it has succeeded.",
                param="evaluation_id",
                code="no_report",
            )
        return self._artifacts.locate_file(row.report_digest)

    async def cancel(self, id: str) -> Evaluation:
        """Cancel an evaluation that hasn't ended; one that runs stops within seconds.

        Raises:
            BadRequest: It has ended already.
        """
        async with self._database.begin() as session:
            row = await EvaluationRepository(session, self._tenant).hold(id, param="evaluation_id")
            if row.status in jobs.FINAL_STATUSES or row.job_id is None:
                raise BadRequest(f"The evaluation {id} has ended already ({row.status}).", code="job_ended")
            await jobs.cancel_subject(session, row)
            return _to_schema(row)

    async def delete(self, id: str) -> EvaluationDeleted:
        """Delete an evaluation with its report; one that hasn't ended is cancelled."""
        async with self._database.begin() as session:
            row = await EvaluationRepository(session, self._tenant).hold(id, param="evaluation_id")
            if row.status not in jobs.FINAL_STATUSES:
                await jobs.cancel_subject(session, row)
            digests = [digest for digest in (row.questions_digest, row.report_digest) if digest]
            await EvaluationRepository(session, self._tenant).delete(row)
            await collect_later(session, self._tenant, digests)
        return EvaluationDeleted(id=id)

    async def _find(self, session: AsyncSession, id: str) -> EvaluationRow:
        return await EvaluationRepository(session, self._tenant).get(id, param="evaluation_id")

    async def _read_content(self, request: EvaluationCreate, stores: Sequence[str]) -> "_Content":
        if request.kind == "advice":
            return await self._read_advice(request)
        source, questions = await self._read_questions(request)
        number = len(questions) if request.generate is None else request.generate
        ways = [_to_way(options) for options in request.against_options]
        total = number * (len(stores) + len(ways) if request.generate is None else 2)
        inputs = LabelInputs(list(questions), request.score_threshold, request.least_probability, ways)
        return _Content(source, msgspec.json.encode(inputs), number, total)

    async def _read_advice(self, request: EvaluationCreate) -> "_Content":
        """Read the conversations; their job counts the steps once it knows what can be asked."""
        async with self._database.read() as session:
            if request.adapter is not None:
                await check_adapter(session, self._tenant, request.adapter)
            prompt = await pin_prompt(session, self._tenant, request.prompt, request.variables)
        assert request.file_id is not None
        file, data = await self._read_file(request.file_id)
        rows = await asyncio.to_thread(read_advice_rows, data, file.filename)
        inputs = AdviceInputs(rows, request.rows or _ADVICE_ROWS, request.adapter, prompt, request.variables)
        return _Content(file.filename, await asyncio.to_thread(msgspec.json.encode, inputs), len(rows), 0)

    async def _read_file(self, id: str) -> tuple[FileRow, bytes]:
        async with self._database.read() as session:
            file = await get_file(session, self._tenant, id)
        if file.bytes > _MOST_BYTES:
            raise _refuse(f"{file.filename} is larger than {_MOST_BYTES // 1024**2} MB. Split it.")
        return file, await asyncio.to_thread(self._artifacts.locate_file(file.digest).read_bytes)

    async def _read_questions(self, request: EvaluationCreate) -> tuple[str, Sequence[LabelledQuestion]]:
        """Return the questions and the name of where they are from."""
        if request.generate is not None:
            return "generated", ()
        if request.file_id is None:
            return "request", _to_questions(request.questions or ())
        file, data = await self._read_file(request.file_id)
        try:
            questions = await asyncio.to_thread(read_rows, data, file.filename)
        except BadLabels as error:
            raise _refuse(str(error)) from error
        if len(questions) > MOST_QUESTIONS:
            raise _refuse(f"{file.filename} has {len(questions):,} questions, and {MOST_QUESTIONS:,} are the most.")
        return file.filename, questions


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of an evaluation, the name of where it is from, and its numbers of questions and of steps."""

    source: str
    data: bytes
    number: int
    total: int


def _to_way(options: SearchOptions) -> SearchWay:
    shares = options.hybrid_search
    return SearchWay(None if shares is None else Weights(shares.embedding_weight, shares.text_weight), options.rerank)


def _limit_of(request: EvaluationCreate) -> float:
    """Return what the row shows of the limit; 0 where an evaluation goes by the probability of an answer."""
    return request.least_probability if request.kind == "calibration" else request.score_threshold or 0.0


def _refuse(message: str) -> BadRequest:
    return BadRequest(message, param="file_id", code="invalid_labels")


def _to_questions(rows: Sequence[EvaluationQuestion]) -> list[LabelledQuestion]:
    """Return the request's questions; those of one id, or without ids of one text, are one question."""
    texts: dict[str, str] = {}
    questions: list[LabelledQuestion] = []
    for number, row in enumerate(rows):
        text = " ".join(row.question.split())
        id = row.id or text
        if texts.setdefault(id, text) != text:
            raise BadRequest(
                f"The question {number} has the id {id!r} of another question. Give each its own, or none.",
                param=f"questions[{number}].id",
                code="invalid_labels",
            )
        questions.append(LabelledQuestion(id, text, dict.fromkeys(row.documents, 1), row.answer))
    return merge_questions(questions)


def _to_schema(row: EvaluationRow) -> Evaluation:
    return Evaluation(
        id=row.id,
        kind=cast(Any, row.kind),
        created_at=row.created_at,
        finished_at=row.finished_at,
        status=cast(Any, row.status),
        vector_store_id=row.stores[0] if row.stores else None,
        against=row.stores[1:],
        source=row.source,
        questions=row.questions,
        score_threshold=row.score_threshold if row.kind == "retrieval" and row.score_threshold else None,
        total=row.total,
        done=row.done,
        error=None if row.error is None else EvaluationError(**row.error),
    )
