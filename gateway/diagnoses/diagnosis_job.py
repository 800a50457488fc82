"""The work behind a diagnosis: replay each failure, measure what might mend them, keep the report, make the releases.

Nothing of it is promoted: rollouts aren't touched.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answering.resolve import Resolver
from gateway.assistants.release import ServedParts
from gateway.assistants.schemas import ReleaseCreate
from gateway.assistants.service import AssistantService
from gateway.diagnoses.answer_judge import Voice, find_expected
from gateway.diagnoses.attribution import Aspect
from gateway.diagnoses.candidates import DiagnosedPlace, list_candidates
from gateway.diagnoses.case_diagnosis import CaseDiagnosis, learn_voice
from gateway.diagnoses.case_search import CaseSearch
from gateway.diagnoses.cases import Case, DiagnosisInputs, DiagnosisOptions, Strand
from gateway.diagnoses.passage_finder import PassageFinder
from gateway.diagnoses.proposals import Proposal, ProposalMaker
from gateway.diagnoses.replay import Replay
from gateway.diagnoses.report import DiagnosedCase, DiagnosisReport, make_report
from gateway.diagnoses.repository import DiagnosisRepository
from gateway.diagnoses.tables import DiagnosisRow
from gateway.diagnoses.variants import ReleaseVariants, find_variants
from gateway.engines.served_base_model import ServedBaseModel
from gateway.files.garbage_collection import collect_later
from gateway.gates.interview import Notes, explain_interruptions
from gateway.gates.judging_parts import JudgingParts
from gateway.jobs import Claim, JobCancelled, Outcome, begin_subject, end_subject, failpoint, succeed_subject
from gateway.task_group import await_each
from retrieval.client import RetrieverError

__all__ = ["DiagnosisHandler"]

_log = structlog.get_logger()
_AT_ONCE = 6
_FRESH_SEED = 1001
"""Of the answers by which proposals are measured; at temperature 0 it changes nothing, see `proposals`."""
_MENDABLE: tuple[Strand, ...] = ("retrieval", "prompt", "style")


@dataclass(frozen=True, slots=True)
class _Result:
    """The report, and the releases to be made, by strand."""

    report: DiagnosisReport
    requests: dict[str, ReleaseCreate]


class DiagnosisHandler:
    """Handles jobs of the kind `diagnose`; their subject is a diagnosis. A run that was killed asks only what it hadn't
    noted.
    """

    def __init__(self, parts: JudgingParts, base: ServedBaseModel) -> None:
        self._parts = parts
        self._base = base

    async def run(self, claim: Claim) -> None:
        row = await self._begin(claim)
        if row is None:
            return
        data = await asyncio.to_thread(self._parts.artifacts.locate_file(row.inputs_digest).read_bytes)
        inputs = msgspec.json.decode(data, type=DiagnosisInputs)
        with explain_interruptions():
            result = await self._diagnose(claim, row, inputs)
            await self._keep(claim, result)

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        end_subject(await DiagnosisRepository(session, claim.tenant).lock(claim.subject), outcome)

    async def _begin(self, claim: Claim) -> DiagnosisRow | None:
        """Mark the diagnosis as running; None when it has ended, or was deleted."""
        async with claim.begin() as session:
            return begin_subject(claim, await DiagnosisRepository(session, claim.tenant).lock(claim.subject))

    async def _diagnose(self, claim: Claim, row: DiagnosisRow, inputs: DiagnosisInputs) -> _Result:
        options = msgspec.convert(row.options, DiagnosisOptions)
        release = await find_variants(
            self._parts.database,
            Resolver(self._parts.database, self._base),
            claim.tenant,
            row.assistant_id,
            row.number,
            self._parts.base_model,
        )
        await self._parts.wait_for_adapters([release.target, *(one.target for one in release.variants)])
        progress = _Progress(claim)
        notes = Notes(claim, progress.write)
        await notes.save()
        interview = self._parts.make_interview(claim.tenant, notes)
        searching = CaseSearch(self._parts.searcher, claim.tenant)
        voice = await asyncio.to_thread(learn_voice, inputs.failures, inputs.passes)
        finder = PassageFinder(
            self._parts.database, self._parts.retriever, self._parts.artifacts, searching, claim.tenant, release.target
        )
        diagnosis = CaseDiagnosis(finder, Replay(interview, voice), voice, release, options.samples)
        maker = ProposalMaker(Replay(interview, voice, _FRESH_SEED), searching, release, options.samples)
        try:
            diagnosed = await _diagnose_all(diagnosis, inputs.failures, progress)
            proposals, requests = [], {}
            if options.propose:
                proposals, requests = await _propose(maker, release, diagnosed, inputs.passes, voice)
        finally:
            await notes.save()
        failpoint("diagnosis-replayed")
        report = await asyncio.to_thread(
            make_report,
            *(release.label, row.sources, len(inputs.passes), options.samples, diagnosed, proposals),
            knows_voice=voice.has_rules,
        )
        return _Result(report, requests)

    async def _keep(self, claim: Claim, result: _Result) -> None:
        """Keep the report, and make the releases in the same unit of work: a run after a kill makes none twice."""
        artifact = await self._parts.artifacts.put_bytes(msgspec.json.encode(result.report))
        failpoint("diagnosis-stored")
        parts = await self._describe_served() if result.requests else None
        async with claim.begin() as session:
            row = succeed_subject(await DiagnosisRepository(session, claim.tenant).lock(claim.subject))
            if row is None:
                await collect_later(session, claim.tenant, [artifact.digest])
                return
            releases: dict[str, int] = {}
            for strand, request in result.requests.items():
                assert parts is not None
                assistants = AssistantService(session, claim.tenant, parts)
                releases[strand] = (await assistants.create_release(row.assistant, request)).release
                await session.flush()
            row.done, row.report_digest, row.bytes = row.failures, artifact.digest, row.bytes + artifact.size
            row.strands, row.releases = result.report.strands, releases
        _log.info("diagnosis_ended", release=result.report.release, strands=result.report.strands, proposed=releases)

    async def _describe_served(self) -> ServedParts:
        try:
            info = await self._parts.retriever.describe()
        except RetrieverError:
            info = None  # a release with stores is refused then, and the job waits
        return ServedParts.of(self._parts.pool.base_model or self._base.name, self._base, info)


class _Progress:
    """Counts the failures that are replayed, and writes their number when notes are saved."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self.count = 0

    async def write(self, _notes: int) -> None:
        async with self._claim.begin() as session:
            row = await DiagnosisRepository(session, self._claim.tenant).find(self._claim.subject)
            if row is None:
                raise JobCancelled
            row.done = self.count


async def _diagnose_all(diagnosis: CaseDiagnosis, failures: Sequence[Case], progress: _Progress) -> list[DiagnosedCase]:
    """Diagnose a few failures at once; the first error ends all."""

    async def place(case: Case) -> DiagnosedCase:
        diagnosed = await diagnosis.diagnose(case)
        progress.count += 1
        return diagnosed

    return await await_each(place, failures, at_once=_AT_ONCE)


async def _propose(
    maker: ProposalMaker,
    release: ReleaseVariants,
    diagnosed: Sequence[DiagnosedCase],
    passes: Sequence[Case],
    voice: Voice,
) -> tuple[list[Proposal], dict[str, ReleaseCreate]]:
    """Measure what might mend each strand; return the proposals, and the releases to be made of them."""
    whole: Aspect = "voice" if voice.has_rules else "facts"
    right: list[tuple[Case, Aspect]] = [(case, whole) for case in passes if voice.has_rules or find_expected(case)]
    proposals: list[Proposal] = []
    requests: dict[str, ReleaseCreate] = {}
    for strand in _MENDABLE:
        own = [one for one in diagnosed if one.attribution.strand == strand]
        places = [DiagnosedPlace(one.attribution.cause, one.place) for one in own if one.place is not None]
        candidates = list_candidates(strand, release, places)
        if not own or not candidates:
            continue
        others = [one for one in diagnosed if one.attribution.strand != strand]
        candidate, proposal = await maker.choose(candidates, _list_judged(own), _list_judged(others), right)
        proposals.append(proposal)
        if proposal.proposed:
            requests[strand] = candidate.request
    return proposals, requests


def _list_judged(diagnosed: Sequence[DiagnosedCase]) -> list[tuple[Case, Aspect]]:
    return [(one.case, "voice" if one.attribution.cause == "voice" else "facts") for one in diagnosed]
