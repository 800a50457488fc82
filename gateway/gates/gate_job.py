"""The work behind a gate: ask, judge, keep the report, and write the result to the release."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import find_ready
from gateway.answering.resolve import Resolver
from gateway.assistants.gate_verdict import GateResult, record_gate
from gateway.assistants.release import ReleaseSpec
from gateway.assistants.service import find_assistant_by_id, find_release
from gateway.errors import NotFound
from gateway.evals.run_pair import PairedRuns, read_run_pair
from gateway.evaluation.base_suite import load_base_suite
from gateway.evaluation.even_sample import thin_out
from gateway.files.garbage_collection import collect_later
from gateway.gates.base_answers import BaseAnswers
from gateway.gates.bounds import LEAST_ROWS
from gateway.gates.checks import GateOptions
from gateway.gates.contestants import find_contestants
from gateway.gates.held_out_rows import HeldOutRow, LearntReply, RowsUnfit, read_held_out_rows
from gateway.gates.interview import Notes, explain_interruptions
from gateway.gates.judging_parts import JudgingParts
from gateway.gates.learnt_rows import LearntFile, find_learnt_files, read_learnt_rows
from gateway.gates.measure import Measurer
from gateway.gates.report import GateReport, make_report
from gateway.gates.repository import GateRepository
from gateway.gates.row_evidence import RowEvidence, StoreEpochs
from gateway.gates.service import drop_rows
from gateway.gates.tables import GateRow
from gateway.jobs import (
    Claim,
    JobCancelled,
    JobFailed,
    Outcome,
    begin_subject,
    end_subject,
    failpoint,
    succeed_subject,
)

__all__ = ["GateHandler"]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a gate.

    Attributes:
        learnt: The numbers of rows that the adapter has learnt, which aren't asked.
        unknown: The adapters whose rows aren't known, see `GateReport`.
    """

    rows: list[HeldOutRow]
    replies: list[LearntReply]
    learnt: list[int]
    unknown: list[str]


class GateHandler:
    """Handles jobs of the kind `gate`; their subject is a gate. A run that was killed asks only what wasn't noted."""

    def __init__(self, parts: JudgingParts) -> None:
        self._parts = parts
        self._suite = load_base_suite()
        self._base_answers = BaseAnswers()

    async def run(self, claim: Claim) -> None:
        row = await self._begin(claim)
        if row is None:
            return
        options = msgspec.convert(row.options, GateOptions)
        files = await self._find_learnt(claim.tenant, row)
        inputs = await asyncio.to_thread(self._read_inputs, row, options, files)
        with explain_interruptions():
            report = await self._make_report(claim, row, options, inputs)
        await self._keep(claim, row, report)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        gate = await GateRepository(session, claim.tenant).lock(claim.subject)
        if gate is not None and end_subject(gate, outcome):
            await collect_later(session, claim.tenant, drop_rows(gate))

    async def _begin(self, claim: Claim) -> GateRow | None:
        """Mark the gate as running; None when it has ended, or made room for another."""
        async with claim.begin() as session:
            return begin_subject(claim, await GateRepository(session, claim.tenant).lock(claim.subject))

    async def _find_learnt(self, tenant: str, row: GateRow) -> list[LearntFile]:
        """Find the files that the candidate's adapter has learnt; the last one is the gate's own while it runs."""
        async with self._parts.database.read() as session:
            release = await find_release(session, tenant, row.assistant_id, row.number)
            adapter = release and msgspec.convert(release.spec, ReleaseSpec).adapter
            files = await find_learnt_files(session, tenant, adapter.model if adapter else None)
        if files and row.training_digest is not None:
            files[0] = LearntFile(files[0].model, row.training_digest)
        return files

    def _read_inputs(self, row: GateRow, options: GateOptions, files: Sequence[LearntFile]) -> _Inputs:
        """Read the rows without those that the adapter has learnt word by word, and of more than asked for some."""
        if row.rows_digest is None:
            raise JobFailed("invalid_rows", "The held-out rows aren't there any more. Begin the gate again.")
        try:
            rows = read_held_out_rows(self._parts.artifacts.locate_file(row.rows_digest).read_bytes())
        except RowsUnfit as error:
            raise JobFailed("invalid_rows", str(error)) from error
        learnt_rows = read_learnt_rows(self._parts.artifacts, files)
        pairs = {(one.messages[-1].content, one.reply) for one in learnt_rows.replies}
        row_numbers = [one.number for one in rows if (one.question, one.reply) in pairs]
        rows = [one for one in rows if one.number not in row_numbers]
        if len(rows) < LEAST_ROWS:
            raise JobFailed(
                "too_few_rows",
                f"{len(row_numbers)} of the held-out rows are among those that the adapter has learnt, and {len(rows)} "
                f"are left: fewer than {LEAST_ROWS} decide nothing. Name rows that it hasn't learnt.",
            )
        return _Inputs(thin_out(rows, options.rows), learnt_rows.replies, row_numbers, learnt_rows.unknown)

    async def _make_report(self, claim: Claim, row: GateRow, options: GateOptions, inputs: _Inputs) -> GateReport:
        name = await self._check_releases(claim.tenant, row)
        contestants = await find_contestants(
            Resolver(self._parts.database, self._parts.traits.base), claim.tenant, name, row, self._parts.base_model
        )
        await self._parts.wait_for_adapters(one.target for one in contestants.list_all())

        async def note_progress(count: int) -> None:
            async with claim.begin() as session:
                current = await GateRepository(session, claim.tenant).find(claim.subject)
                if current is None:
                    raise JobCancelled
                # A run that goes on from notes comes to its last look again by and by.
                current.total = max(current.total, measurer.count(len(inputs.rows)))
                current.done = min(count, current.total)

        notes = Notes(claim, note_progress)
        interview = self._parts.make_interview(claim.tenant, notes, self._base_answers)
        target = contestants.candidate.target
        evidence = RowEvidence(self._parts.searcher, claim.tenant, target)
        measurer = Measurer(interview, contestants, evidence, self._suite, options)
        await notes.save()
        if target.retrieval is not None and any(one.passages is None for one in inputs.rows):
            await self._freeze(claim, row, evidence)
        try:
            measurements = await measurer.measure(inputs.rows, inputs.replies)
        finally:
            await notes.save()
        failpoint("gate-measured")
        measurements = replace(measurements, evals=await self._read_evals(claim.tenant, options))
        return await asyncio.to_thread(
            make_report, measurements, contestants, options.thresholds, row.source, inputs.learnt, inputs.unknown
        )

    async def _read_evals(self, tenant: str, options: GateOptions) -> list[PairedRuns]:
        pairs: list[PairedRuns] = []
        for one in options.eval_runs:
            try:
                pairs.append(await read_run_pair(self._parts.database, tenant, one.run_id, one.baseline_id))
            except NotFound as error:
                message = f"A run of an eval was deleted before the gate had read it. {error.message}"
                raise JobFailed("eval_run_gone", message) from error
        return pairs

    async def _freeze(self, claim: Claim, row: GateRow, evidence: RowEvidence) -> None:
        """Have all rows searched at one state of the stores, which is kept for a run that goes on from this one."""
        before = None if row.store_epochs is None else msgspec.convert(row.store_epochs, StoreEpochs)
        index_epochs = await evidence.freeze(before)
        if index_epochs != before:
            async with claim.begin() as session:
                current = await GateRepository(session, claim.tenant).find(claim.subject)
                if current is None:
                    raise JobCancelled
                current.store_epochs = msgspec.to_builtins(index_epochs)

    async def _check_releases(self, tenant: str, row: GateRow) -> str:
        """Return the assistant's name, once it is known that what its releases need is there.

        Raises:
            JobFailed: An adapter was deleted, or waits for another base model.
        """
        async with self._parts.database.read() as session:
            assistant = await find_assistant_by_id(session, tenant, row.assistant_id)
            for number in (row.number, *(() if row.against is None else (row.against,))):
                release = await find_release(session, tenant, assistant.id, number)
                adapter = release and msgspec.convert(release.spec, ReleaseSpec).adapter
                if adapter and await find_ready(session, tenant, adapter.model) is None:
                    raise JobFailed(
                        "adapter_gone",
                        f"The adapter of {assistant.name}@{number}, {adapter.model!r}, isn't ready now.",
                    )
            return assistant.name

    async def _keep(self, claim: Claim, row: GateRow, report: GateReport) -> None:
        artifact = await self._parts.artifacts.put_bytes(msgspec.json.encode(report))
        failpoint("gate-stored")
        async with claim.begin() as session:
            gate = succeed_subject(await GateRepository(session, claim.tenant).lock(claim.subject))
            if gate is None:
                await collect_later(session, claim.tenant, [artifact.digest])
                return
            gate.done, gate.report_digest, gate.bytes = gate.total, artifact.digest, artifact.size
            await collect_later(session, claim.tenant, drop_rows(gate))
            result = GateResult(
                passed=report.passed,
                decided_at=report.created_at,
                failed=tuple(report.failed),
                undecided=tuple(report.undecided),
                margin=report.thresholds.margin,
                neutral_margin=report.thresholds.neutral_margin,
                rows=report.rows,
                canaries=report.canaries,
                evals=tuple(report.evals),
                general_prompts=report.most_general_prompts,
            )
            await record_gate(session, claim.tenant, row.assistant_id, row.number, result)
        _log.info("gate_ended", release=report.release, passed=report.passed, failed=report.failed)
