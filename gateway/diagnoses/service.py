"""Diagnoses as their owner sees them: begun, listed, read, cancelled. The work itself is `diagnosis_job`'s."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.answers.service import CitedDocuments
from gateway.artifacts import Artifacts
from gateway.assistants import AssistantRow
from gateway.assistants.release import split_release
from gateway.assistants.service import find_assistant, find_release, list_current_stages
from gateway.db import Database, cut_slices, delete_before
from gateway.diagnoses.case_sources import SourceCases, read_gate, read_request, read_run, read_votes
from gateway.diagnoses.cases import DiagnosisInputs, DiagnosisOptions
from gateway.diagnoses.diagnosis_page import render_page
from gateway.diagnoses.report import DiagnosisReport, list_documents, withhold_passages
from gateway.diagnoses.repository import DiagnosisRepository
from gateway.diagnoses.schemas import (
    MOST_FAILURES,
    MOST_PASSES,
    Diagnosis,
    DiagnosisCreate,
    DiagnosisDeleted,
    DiagnosisError,
    DiagnosisList,
    RunSource,
)
from gateway.diagnoses.tables import DiagnosisRow
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.evals.run_service import EvalRunService
from gateway.evals.service import EvalService
from gateway.evaluation.even_sample import thin_out
from gateway.files.garbage_collection import collect_later
from gateway.gates.service import GateService
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.storage import TenantStorage

__all__ = ["DIAGNOSE", "DiagnosisService", "DiagnosisSources", "delete_old_diagnoses"]

DIAGNOSE = "diagnose"
_MOST_QUEUED = 20
_Sources = list[SourceCases]  # the service's own `list` hides the type


async def delete_old_diagnoses(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` diagnoses of any tenant that ended before a Unix time, and return the number."""
    return await delete_before(session, DiagnosisRow.finished_at, before, limit)


@dataclass(frozen=True, slots=True)
class DiagnosisSources:
    """The places that failures come from, beside the request and votes."""

    runs: EvalRunService
    gates: GateService
    documents: CitedDocuments


class DiagnosisService:
    """One tenant's diagnoses. Each method is its own unit of work: files are read and written in none."""

    def __init__(
        self, database: Database, artifacts: Artifacts, storage: TenantStorage, tenant: str, sources: DiagnosisSources
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._tenant = tenant
        self._sources = sources

    async def create(self, request: DiagnosisCreate) -> Diagnosis:
        """Read the failures from their sources, and queue the job.

        Raises:
            BadRequest: There are no failures, or it isn't known whose they are.
            NotFound: A source, an answer or the release doesn't exist.
            Conflict: A source hasn't ended, or the assistant has no rollout.
            TooManyRequests: So many diagnoses wait already.
            PayloadTooLarge: The tenant has no room for the cases.
        """
        sources = await self._read_sources(request)
        model = request.model or next((one.model for one in sources if one.model), "")
        if not model:
            raise BadRequest(
                "Neither 'model' nor a source says whose failures these are. Name the assistant in 'model', or a "
                "release of it; GET /api/assistants lists yours.",
                param="model",
                code="missing",
            )
        async with self._database.read() as session:
            assistant, number = await self._find_release(session, model)
            if request.votes is not None:
                sources.append(
                    await read_votes(session, self._tenant, self._sources.documents, assistant.name, request.votes)
                )
        failures = [case for source in sources for case in source.failures]
        passes = [case for source in sources for case in source.passes]
        if not failures:
            raise BadRequest(
                "None of the sources has a failure that can be asked again. Name others, or send failures.",
                param="failures",
                code="no_failures",
            )
        inputs = DiagnosisInputs(thin_out(failures, MOST_FAILURES), thin_out(passes, MOST_PASSES))
        artifact = await self._artifacts.put_bytes(msgspec.json.encode(inputs))
        async with self._database.begin() as session:
            row = DiagnosisRepository(session, self._tenant).add(
                DiagnosisRow(
                    id=new_id("diagnosis_"),
                    created_at=int(time.time()),
                    assistant_id=assistant.id,
                    assistant=assistant.name,
                    number=number,
                    status="queued",
                    sources=[one.name for one in sources if one.failures or one.passes],
                    options=msgspec.to_builtins(DiagnosisOptions(request.samples, request.propose)),
                    inputs_digest=artifact.digest,
                    bytes=artifact.size,
                    failures=len(inputs.failures),
                    passes=len(inputs.passes),
                    done=0,
                    strands={},
                    releases={},
                )
            )
            await jobs.queue_subject(session, row, DIAGNOSE, most=_MOST_QUEUED)
            await self._storage.admit(session, self._tenant, row.bytes)
            return _to_schema(row)

    async def list(self, request: PageRequest) -> DiagnosisList:
        async with self._database.read() as session:
            page = await DiagnosisRepository(session, self._tenant).list_page(**asdict(request))
        return DiagnosisList.of([_to_schema(row) for row in page.rows], page)

    async def get(self, id: str) -> Diagnosis:
        async with self._database.read() as session:
            return _to_schema(await self._find(session, id))

    async def read_report(self, id: str) -> DiagnosisReport:
        """Return a diagnosis's report, without the words of documents that were deleted since.

        Raises:
            Conflict: It hasn't succeeded.
        """
        async with self._database.read() as session:
            row = await self._find(session, id)
        if row.report_digest is None:
            raise Conflict(
                f"The diagnosis {id} has no report: it is {row.status}. Its report is there once it has succeeded.",
                param="diagnosis_id",
                code="no_report",
            )
        content = await asyncio.to_thread(self._artifacts.locate_file(row.report_digest).read_bytes)
        report = msgspec.json.decode(content, type=DiagnosisReport)
        live: set[str] = set()
        async with self._database.read() as session:
            for some in cut_slices(list_documents(report)):
                live |= await self._sources.documents.find_live(session, self._tenant, some)
        return withhold_passages(report, live)

    async def render(self, id: str) -> str:
        """Return the report as a page; raises as `read_report` does."""
        report = await self.read_report(id)
        return await asyncio.to_thread(render_page, report)

    async def cancel(self, id: str) -> Diagnosis:
        """Cancel a diagnosis that hasn't ended; one that runs stops within seconds.

        Raises:
            BadRequest: It has ended already.
        """
        async with self._database.begin() as session:
            row = await DiagnosisRepository(session, self._tenant).hold(id, param="diagnosis_id")
            if row.status in jobs.FINAL_STATUSES:
                raise BadRequest(f"The diagnosis {id} has ended already ({row.status}).", code="job_ended")
            await jobs.cancel_subject(session, row)
            return _to_schema(row)

    async def delete(self, id: str) -> DiagnosisDeleted:
        """Delete a diagnosis with its report; one that hasn't ended is cancelled. Releases that it made stay."""
        async with self._database.begin() as session:
            row = await DiagnosisRepository(session, self._tenant).hold(id, param="diagnosis_id")
            if row.status not in jobs.FINAL_STATUSES:
                await jobs.cancel_subject(session, row)
            digests = [digest for digest in (row.inputs_digest, row.report_digest) if digest]
            await DiagnosisRepository(session, self._tenant).delete(row)
            await collect_later(session, self._tenant, digests)
        return DiagnosisDeleted(id=id)

    async def _find(self, session: AsyncSession, id: str) -> DiagnosisRow:
        return await DiagnosisRepository(session, self._tenant).get(id, param="diagnosis_id")

    async def _read_sources(self, request: DiagnosisCreate) -> _Sources:
        sources: _Sources = []
        if request.gate is not None:
            sources.append(await read_gate(self._sources.gates, request.gate))
        if request.run is not None:
            sources.append(await read_run(self._sources.runs, await self._read_criteria(request.run), request.run))
        async with self._database.read() as session:
            own = await read_request(session, self._tenant, self._sources.documents, request.failures, request.passes)
        return [*sources, own]

    async def _read_criteria(self, run: RunSource) -> Sequence[dict[str, Any]]:
        async with self._database.read() as session:
            return cast(Any, (await EvalService(session, self._tenant).get(run.eval_id)).testing_criteria)

    async def _find_release(self, session: AsyncSession, model: str) -> tuple[AssistantRow, int]:
        """Return the assistant and the release that a model's name means: of an assistant that with the largest share.

        Raises:
            NotFound: The tenant has no such release.
            Conflict: The assistant has no rollout yet.
        """
        name, number = split_release(model)
        assistant = await find_assistant(session, self._tenant, name)
        if assistant is None:
            raise NotFound(
                f"{model!r} is no assistant, and no release of one: a diagnosis is of a release. Name it in model; "
                "GET /api/assistants lists yours.",
                param="model",
                code="model_not_found",
            )
        if number is not None:
            if await find_release(session, self._tenant, assistant.id, number) is None:
                raise NotFound(f"The release {model} does not exist.", param="model", code="model_not_found")
            return assistant, number
        stages = [stage for stage in await list_current_stages(session, self._tenant, assistant.id) if stage.weight]
        if not stages:
            raise Conflict(
                f"The assistant {name!r} has no rollout yet. Name one of its releases ({name}@1).",
                param="model",
                code="no_rollout",
            )
        return assistant, max(stages, key=lambda stage: stage.weight).release


def _to_schema(row: DiagnosisRow) -> Diagnosis:
    return Diagnosis(
        id=row.id,
        assistant=row.assistant,
        release=row.number,
        created_at=row.created_at,
        finished_at=row.finished_at,
        status=cast(Any, row.status),
        sources=row.sources,
        failures=row.failures,
        passes=row.passes,
        done=row.done,
        strands=row.strands,
        releases=row.releases,
        options=row.options,
        error=None if row.error is None else DiagnosisError(**row.error),
    )
