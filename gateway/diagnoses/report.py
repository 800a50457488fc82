"""The report of a diagnosis: each failure with its strand and the outcomes behind it, clusters, and proposals."""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from gateway.answering.retrieve import gather_epochs
from gateway.diagnoses.answer_judge import find_expected
from gateway.diagnoses.attribution import AnswerTally, Attribution
from gateway.diagnoses.cases import Case, Strand
from gateway.diagnoses.clusters import Cluster, ClusterMember, make_clusters
from gateway.diagnoses.passage_finder import PassagePlace
from gateway.diagnoses.proposals import Proposal

__all__ = [
    "EXPLANATIONS",
    "CaseReport",
    "DiagnosedCase",
    "DiagnosisReport",
    "ShownPassage",
    "list_documents",
    "make_report",
    "withhold_passages",
]

_CHARACTERS = 2000
_PASSAGE_CHARACTERS = 500

EXPLANATIONS = {
    "missing": "No document that a search comes by states what the answer should.",
    "no_stores": "The release searches no documents, and given the reference it is right.",
    "limit": "The passage is further down than the release looks (`top_k`).",
    "abstention": "The release found no answer likely enough (`least_probability`), and gave the model no passage.",
    "score_threshold": "The passage scores below the release's `score_threshold`.",
    "filters": "The filters of the release or the request keep the passage out.",
    "search_decision": "The question was taken for small talk, so that nothing was searched for.",
    "ranking_rules": "Boosts, `max_per_document` or `collapse_duplicates` put the passage aside.",
    "ranking": "The search doesn't find the passage by the question's words, and does by the answer's.",
    "chunking": "The document states it, and no one of its chunks does.",
    "context": "The passage was found and didn't fit into the context.",
    "distractors": "With the right passage alone the answer is right: those beside it mislead.",
    "instructions": "With another prompt the answer is right, on the same passages and adapter.",
    "adapter": "With another adapter, or none, the answer is right, on the same passages and prompt.",
    "voice": "What it states is right, and the voice isn't the tenant's.",
    "base": "The prompt has the passage, and no other prompt or adapter makes the answer right.",
    "base_and_passage": "The passage was missing, and with it no prompt or adapter makes the answer right either.",
    "not_reproduced": "The release as it is now answers right most of the time.",
    "uncertain": "Even twice as many answers don't tell what mends it.",
    "several": "Several strands mend it alike, or only together.",
    "nothing_to_judge_by": "It isn't known what would be right: neither an expected text nor a value in a reference.",
    "too_long": "The question doesn't fit into the context.",
}
"""The causes in words."""


class ShownPassage(msgspec.Struct, frozen=True):
    """A passage that states what was expected: its document and its text, which go with a deleted document."""

    document_id: str
    document_key: str
    version: int
    heading: str
    text: str
    deleted: bool = False


class CaseReport(msgspec.Struct, frozen=True):
    """The report on one failure.

    `outcomes` are the tallies by variant, right answers of all: `control` is the release as it is, `passages` the same
    with the passage put in, `reference` with the reference in its place, `as_found:` before a variant's name that
    variant without it, `all` the base alone with the built-in prompt and the passage. `rank` is the passage's place in
    the release's search, `probability` that of an answer in what it found.
    """

    id: str
    question: str
    answer: str
    reference: str
    expected: list[str]
    reason: str
    answer_id: str
    answered_by: str
    strand: Strand
    cause: str
    explanation: str
    several: list[Strand]
    outcomes: dict[str, AnswerTally]
    passages: list[ShownPassage]
    rank: int | None
    probability: float | None


class DiagnosisReport(msgspec.Struct, frozen=True):
    """The whole report of a diagnosis.

    Attributes:
        release: The one under diagnosis, as `name@number`.
        samples: Answers per variant, at least.
        index_epochs: The stores' versions that were searched; more than one where documents changed meanwhile.
        strands: Failures by strand.
        knows_voice: Whether the references taught a voice, without which none is judged.
        unanswered: Questions that no document answers: what to write down.
    """

    kind: Literal["diagnosis"]
    release: str
    created_at: int
    sources: list[str]
    failures: int
    passes: int
    samples: int
    index_epochs: dict[str, list[int]]
    strands: dict[str, int]
    knows_voice: bool
    clusters: list[Cluster]
    proposals: list[Proposal]
    unanswered: list[str]
    cases: list[CaseReport]


class DiagnosedCase(msgspec.Struct, frozen=True):
    """A failure with its attribution; `place` is None where the question doesn't fit into the context."""

    case: Case
    attribution: Attribution
    place: PassagePlace | None


def make_report(
    release: str,
    sources: Sequence[str],
    passes: int,
    samples: int,
    diagnosed: Sequence[DiagnosedCase],
    proposals: Sequence[Proposal],
    *,
    knows_voice: bool,
) -> DiagnosisReport:
    """Write down what was told."""
    strands = Counter(one.attribution.strand for one in diagnosed)
    clusters = make_clusters(
        [
            ClusterMember(
                one.case.id, one.attribution.strand, one.attribution.cause, one.case.question, one.case.reason
            )
            for one in diagnosed
        ]
    )
    unanswered = [one.case.question for one in diagnosed if one.attribution.strand == "documents"]
    return DiagnosisReport(
        kind="diagnosis",
        release=release,
        created_at=int(time.time()),
        sources=list(sources),
        failures=len(diagnosed),
        passes=passes,
        samples=samples,
        index_epochs=gather_epochs(one.place.evidence.index_epochs for one in diagnosed if one.place is not None),
        strands=dict(strands.most_common()),
        knows_voice=knows_voice,
        clusters=clusters,
        proposals=list(proposals),
        unanswered=list(dict.fromkeys(unanswered)),
        cases=[_report_case(one) for one in diagnosed],
    )


def _report_case(one: DiagnosedCase) -> CaseReport:
    case, attribution, place = one.case, one.attribution, one.place
    passages = [] if place is None else [passage for passage in place.passages if passage.document]
    return CaseReport(
        id=case.id,
        question=case.question[:_CHARACTERS],
        answer=case.answer[:_CHARACTERS],
        reference=case.reference[:_CHARACTERS],
        expected=find_expected(case).texts,
        reason=case.reason[:_CHARACTERS],
        answer_id=case.answer_id,
        answered_by=case.answered_by,
        strand=attribution.strand,
        cause=attribution.cause,
        explanation=EXPLANATIONS[attribution.cause],
        several=attribution.several,
        outcomes=attribution.tallies,
        passages=[
            ShownPassage(
                passage.document, passage.key, passage.version, passage.heading, passage.body[:_PASSAGE_CHARACTERS]
            )
            for passage in passages
        ],
        rank=None if place is None else place.rank,
        probability=None if place is None else place.probability,
    )


def list_documents(report: DiagnosisReport) -> set[str]:
    """List the ids of the documents whose passages a report shows."""
    return {passage.document_id for case in report.cases for passage in case.passages}


def withhold_passages(report: DiagnosisReport, live: Collection[str]) -> DiagnosisReport:
    """Return a report without the words of documents that aren't `live`."""
    return msgspec.structs.replace(
        report,
        cases=[
            msgspec.structs.replace(case, passages=[_withhold(passage, live) for passage in case.passages])
            for case in report.cases
        ],
    )


def _withhold(passage: ShownPassage, live: Collection[str]) -> ShownPassage:
    if passage.document_id in live:
        return passage
    return msgspec.structs.replace(passage, heading="", text="", deleted=True)
