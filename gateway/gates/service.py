"""Gates as their owner sees them: begun, read, cancelled. The work itself is `gate_job`'s."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.adapters.service import find_ready
from gateway.artifacts import Artifacts
from gateway.assistants import AssistantRow, ReleaseRow
from gateway.assistants.gate_block import describe_gate
from gateway.assistants.gate_verdict import MARGIN, GateResult, describe_looseness, find_verdict
from gateway.assistants.release import ReleaseSpec
from gateway.assistants.service import find_assistant, find_release, list_current_stages, list_serving_releases
from gateway.counts import format_count
from gateway.db import Database
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.evals.run_pair import check_run_pair
from gateway.files import FileRow
from gateway.files.garbage_collection import collect_later
from gateway.files.service import find_file, get_file
from gateway.fine_tuning import FineTuningJobRow
from gateway.fine_tuning.service import find_job
from gateway.gates.bounds import LEAST_ROWS
from gateway.gates.checks import EvalRunIds, GateOptions, Thresholds
from gateway.gates.gate_page import render_page
from gateway.gates.held_out_rows import RowsUnfit, read_held_out_rows
from gateway.gates.report import GateReport
from gateway.gates.repository import GateRepository, delete_gates
from gateway.gates.schemas import Gate, GateCreate, GateError
from gateway.gates.tables import GateRow
from gateway.ids import new_id

__all__ = ["GATE", "GateService", "delete_old_gates", "drop_rows"]

GATE = "gate"
_MOST_QUEUED = 20
_MOST_BYTES = 64 * 1024**2


async def delete_old_gates(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` gates of any tenant that ended before a Unix time, and return the number.

    Those of releases that answer, or would by a roll back, stay: their reports say why. The verdict stays of all.
    """
    return await delete_gates(session, before, limit, await list_serving_releases(session))


class GateService:
    """One tenant's gates. Each method is its own unit of work: files are read in none."""

    def __init__(self, database: Database, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._tenant = tenant

    async def begin(self, name: str, number: int, request: GateCreate) -> Gate:
        """Check the held-out rows and queue the gate, in place of the release's gate before.

        Raises:
            BadRequest: There are no held-out rows, or they can't be used; or runs of evals that say nothing of it.
            NotFound: The tenant has no such release, file or run.
            Conflict: A gate of this release hasn't ended.
            TooManyRequests: So many gates wait already.
        """
        async with self._database.read() as session:
            _, release = await self._find_release(session, name, number)
            job = await self._find_job(session, release)
            file, training = await self._find_rows(session, request.file_id, job)
        await asyncio.to_thread(_check_rows, self._artifacts.locate_file(file.digest), file.filename)
        pairs = [EvalRunIds(one.run_id, one.baseline_id) for one in request.eval_runs]
        thresholds = Thresholds(margin=request.margin)
        options = GateOptions(request.rows, thresholds, request.canaries, pairs, request.general_prompts)
        async with self._database.begin() as session:
            assistant, release = await self._find_release(session, name, number)
            against = await self._find_against(session, assistant, number)
            for pair in pairs:
                await check_run_pair(
                    session,
                    self._tenant,
                    pair.run_id,
                    pair.baseline_id,
                    model=f"{name}@{number}",
                    against=None if against is None else f"{name}@{against}",
                    param="eval_runs",
                )
            await self._clear(session, assistant, number)
            row = GateRepository(session, self._tenant).add(
                GateRow(
                    id=new_id("gate_"),
                    created_at=int(time.time()),
                    assistant_id=assistant.id,
                    number=number,
                    against=against,
                    status="queued",
                    source=file.filename,
                    options=msgspec.to_builtins(options),
                    rows_digest=file.digest,
                    training_digest=training and training.digest,
                    total=0,
                    done=0,
                    bytes=0,
                )
            )
            await jobs.queue_subject(session, row, GATE, most=_MOST_QUEUED)
            return await self._describe(session, row, release, name)

    async def get(self, name: str, number: int) -> Gate:
        """Return a release's gate, with its report once it has one."""
        async with self._database.read() as session:
            row, release = await self._find(session, name, number)
            gate = await self._describe(session, row, release, name)
        if row.report_digest is None:
            return gate
        report = msgspec.json.decode(await asyncio.to_thread(self._artifacts.locate_file(row.report_digest).read_bytes))
        return gate.model_copy(update={"passed": report["passed"], "report": report})

    async def render(self, name: str, number: int) -> str:
        """Return the report as a page.

        Raises:
            Conflict: The gate hasn't succeeded.
        """
        row = await self._read(name, number)
        if row.report_digest is None:
            raise Conflict(
                f"The gate of {name}@{number} has no report: it is {row.status}. Its report is there once it has "
                "succeeded.",
                param="number",
                code="no_report",
            )
        path = self._artifacts.locate_file(row.report_digest)
        return await asyncio.to_thread(lambda: render_page(msgspec.json.decode(path.read_bytes(), type=GateReport)))

    async def cancel(self, name: str, number: int) -> Gate:
        """Cancel a gate that hasn't ended; one that runs stops within seconds.

        Raises:
            BadRequest: It has ended already.
        """
        async with self._database.begin() as session:
            row, release = await self._find(session, name, number)
            gate = await GateRepository(session, self._tenant).hold(row.id)
            if gate.status in jobs.FINAL_STATUSES or gate.job_id is None:
                raise BadRequest(f"The gate of {name}@{number} has ended already ({gate.status}).", code="job_ended")
            await jobs.cancel_subject(session, gate)
            await collect_later(session, self._tenant, drop_rows(gate))
            return await self._describe(session, gate, release, name)

    async def _read(self, name: str, number: int) -> GateRow:
        async with self._database.read() as session:
            row, _ = await self._find(session, name, number)
        return row

    async def _describe(self, session: AsyncSession, row: GateRow, release: ReleaseRow, name: str) -> Gate:
        return _to_schema(row, release, name, await find_verdict(session, self._tenant, release.fingerprint))

    async def _find(self, session: AsyncSession, name: str, number: int) -> tuple[GateRow, ReleaseRow]:
        assistant, release = await self._find_release(session, name, number)
        row = await GateRepository(session, self._tenant).find_of(assistant.id, number)
        if row is None:
            raise NotFound(
                f"{name}@{number} has had no gate. Begin one with POST /api/assistants/{name}/releases/{number}/gate.",
                param="number",
            )
        return row, release

    async def _find_release(self, session: AsyncSession, name: str, number: int) -> tuple[AssistantRow, ReleaseRow]:
        assistant = await find_assistant(session, self._tenant, name)
        release = assistant and await find_release(session, self._tenant, assistant.id, number)
        if assistant is None or release is None:
            raise NotFound(f"{name}@{number} doesn't exist. GET /api/assistants lists yours.", param="number")
        return assistant, release

    async def _find_job(self, session: AsyncSession, release: ReleaseRow) -> FineTuningJobRow | None:
        """Find the job that made a release's adapter; None for an imported one, and without one."""
        spec = msgspec.convert(release.spec, ReleaseSpec)
        adapter = spec.adapter and await find_ready(session, self._tenant, spec.adapter.model)
        return None if adapter is None else await find_job(session, self._tenant, adapter.source)

    async def _find_rows(
        self, session: AsyncSession, file_id: str | None, job: FineTuningJobRow | None
    ) -> tuple[FileRow, FileRow | None]:
        """Return the file of held-out rows, and that of the rows that the adapter learnt, if it is still there."""
        training = None if job is None else await find_file(session, self._tenant, job.training_file)
        file_id = file_id or (job and job.validation_file)
        if file_id is None:
            raise BadRequest(
                "No job of this release's adapter names a validation file, so that it isn't known by which rows to "
                "judge it. Upload rows that it hasn't learnt, in the format of a training file, and name them in "
                "file_id.",
                param="file_id",
                code="no_held_out_rows",
            )
        file = await get_file(session, self._tenant, file_id)
        if file.bytes > _MOST_BYTES:
            raise _refuse(f"{file.filename} is larger than {_MOST_BYTES // 1024**2} MB. Name a smaller one.")
        return file, training if training is not None and training.bytes <= _MOST_BYTES else None

    async def _clear(self, session: AsyncSession, assistant: AssistantRow, number: int) -> None:
        """Make room for a new gate; the verdict of the old one stays with the release until the new one ends."""
        gates = GateRepository(session, self._tenant)
        old = await gates.find_of(assistant.id, number)
        if old is None:
            return
        if old.status not in jobs.FINAL_STATUSES:
            raise Conflict(
                f"A gate of {assistant.name}@{number} is {old.status}. Wait until it has ended, or cancel it.",
                code="gate_running",
            )
        await collect_later(
            session, self._tenant, [*drop_rows(old), *([old.report_digest] if old.report_digest else [])]
        )
        await gates.delete(old)
        await session.flush()

    async def _find_against(self, session: AsyncSession, assistant: AssistantRow, number: int) -> int | None:
        """Return the release with the largest share now, but for the candidate itself."""
        stages = await list_current_stages(session, self._tenant, assistant.id)
        others = [stage for stage in stages if stage.release != number and stage.weight]
        return max(others, key=lambda stage: stage.weight).release if others else None


def drop_rows(row: GateRow) -> list[str]:
    """Let go of the rows that a gate was made of; return the digests, to be collected."""
    digests = [digest for digest in (row.rows_digest, row.training_digest) if digest is not None]
    row.rows_digest = row.training_digest = None
    return digests


def _check_rows(path: Path, filename: str) -> None:
    try:
        rows = read_held_out_rows(path.read_bytes())
    except RowsUnfit as error:
        raise _refuse(f"{filename} isn't a file of rows. {error}") from error
    if len(rows) < LEAST_ROWS:
        raise BadRequest(
            f"{filename} has {format_count(len(rows), 'row')} with a reply at the end, and {LEAST_ROWS} are the "
            "fewest that decide anything. Some 50 make the intervals narrow.",
            param="file_id",
            code="too_few_rows",
        )


def _refuse(message: str) -> BadRequest:
    return BadRequest(message, param="file_id", code="invalid_rows")


def _to_schema(row: GateRow, release: ReleaseRow, name: str, verdict: GateResult | None) -> Gate:
    """Return a gate without its report, which is read when no transaction is open."""
    return Gate(
        id=row.id,
        assistant=name,
        release=row.number,
        against=row.against,
        created_at=row.created_at,
        finished_at=row.finished_at,
        status=cast(Any, row.status),
        source=row.source,
        total=row.total,
        done=row.done,
        passed=None,
        verdict=describe_gate(verdict),
        note=_explain(row, release, verdict),
        error=None if row.error is None else GateError(**row.error),
        report=None,
    )


def _explain(row: GateRow, release: ReleaseRow, verdict: GateResult | None) -> str:
    """Say what a gate can't do, or hasn't done, because it is looser than another, or than the defaults."""
    failed = verdict if verdict is not None and not verdict.passed else None
    if row.report_digest is None:
        options = msgspec.convert(row.options, GateOptions)
        margin, prompts = options.thresholds.margin, options.general_prompts
        if failed is not None and prompts < failed.general_prompts:
            return (
                f"With at most {prompts:,} prompts of the base suite it can block and lifts no block: the gate that "
                f"failed asked up to {failed.general_prompts:,}."
            )
        widest = MARGIN if failed is None else min(MARGIN, failed.margin)
        too_wide = f"With a margin of {margin:g} it can block and lifts no block: {widest:g} is the widest that does."
        return too_wide if margin > widest else ""
    own = None if release.gate is None else msgspec.convert(release.gate, GateResult)
    if own is None or not own.passed or failed is None:
        return ""
    looser = describe_looseness(own, failed)
    if not looser:
        return f"A gate of an equal release has failed since: {', '.join(failed.failed)}. That verdict counts."
    return (
        f"It passed, and lifts nothing. A gate of the same content has failed ({', '.join(failed.failed)}), and this "
        f"one was looser: {'; '.join(looser)}."
    )
