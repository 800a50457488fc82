"""The report of a diagnosis: what it shows of each failure, and what it no longer shows of a deleted document."""

from typing import Any

import pytest

from gateway.answering.question import Message
from gateway.answering.retrieve import Evidence
from gateway.diagnoses.attribution import AnswerTally, Attribution
from gateway.diagnoses.cases import Case, Strand
from gateway.diagnoses.passage_finder import PassagePlace
from gateway.diagnoses.report import (
    EXPLANATIONS,
    DiagnosedCase,
    DiagnosisReport,
    list_documents,
    make_report,
    withhold_passages,
)
from retrieval.messages import Passage


def passage(document: str, text: str = "24 months", headline: int = 0) -> Passage:
    where: dict[str, Any] = {"store": "vs_1", "key": f"{document}.md", "version": 2, "file_id": "f", "heading": "Terms"}
    return Passage(
        id=f"{document}:1",
        document=document,
        filename="d.md",
        text=text,
        headline=headline,
        start=0,
        end=len(text),
        score=0.4,
        attributes={},
        **where,
    )


def make_diagnosed(
    strand: Strand, cause: str, *passages: Passage, question: str = "How long?", epochs: dict[str, int] | None = None
) -> DiagnosedCase:
    case = Case(
        id=f"run:{question}",
        messages=[Message("user", "Hi"), Message("assistant", "Hello"), Message("user", question)],
        reference="It is 24 months.",
        answer="a" * 2001,
        reason="r" * 2001,
    )
    place = PassagePlace(Evidence("found", index_epochs=epochs or {}), "retrieval", cause, passages, 3, 0.25)
    return DiagnosedCase(case, Attribution(strand, cause, {"control": AnswerTally(0, 3)}, ["prompt"]), place)


def report_of(*cases: DiagnosedCase, passes: int = 4) -> DiagnosisReport:
    return make_report("desk@1", ["evalrun_1"], passes, 3, cases, [], knows_voice=True)


def test_a_failure_is_shown_with_its_strand_its_outcomes_and_its_passages() -> None:
    own = passage("doc_1", "Terms\n" + "x" * 501, headline=6)
    report = report_of(make_diagnosed("retrieval", "limit", own, passage("", "the reference itself")))
    (case,) = report.cases
    assert (case.strand, case.cause, case.several, case.rank, case.probability) == (
        *("retrieval", "limit", ["prompt"]),
        *(3, 0.25),
    )
    assert (case.question, case.explanation, case.expected) == ("How long?", EXPLANATIONS["limit"], ["24 months"])
    assert (len(case.answer), len(case.reason), case.reference) == (2000, 2000, "It is 24 months.")
    assert case.outcomes == {"control": AnswerTally(0, 3)}
    (shown,) = case.passages
    assert (shown.document_id, shown.document_key, shown.version, shown.heading) == ("doc_1", "doc_1.md", 2, "Terms")
    assert (shown.text, shown.deleted) == ("x" * 500, False), "the heading stands beside it"


def test_a_failure_that_does_not_fit_into_the_context_has_no_passage() -> None:
    whole = make_diagnosed("unknown", "too_long")
    report = report_of(DiagnosedCase(whole.case, whole.attribution, None))
    assert (report.cases[0].passages, report.cases[0].rank, report.cases[0].probability) == ([], None, None)
    assert report.index_epochs == {}


def test_the_whole_counts_strands_and_gathers_what_no_document_answers() -> None:
    report = report_of(
        make_diagnosed("retrieval", "limit", epochs={"vs_1": 5, "vs_2": 1}),
        make_diagnosed("documents", "missing", question="Why?", epochs={"vs_1": 4}),
        make_diagnosed("documents", "no_stores", question="When?"),
        make_diagnosed("documents", "missing", question="Why?", epochs={"vs_1": 5}),
    )
    assert list(report.strands.items()) == [("documents", 3), ("retrieval", 1)], "the most frequent one first"
    assert (report.failures, report.passes, report.samples, report.knows_voice) == (4, 4, 3, True)
    assert report.index_epochs == {"vs_1": [4, 5], "vs_2": [1]}
    assert report.unanswered == ["Why?", "When?"]
    assert sum(one.size for one in report.clusters) == 4


def test_a_report_without_failures_is_one_too() -> None:
    report = report_of()
    assert (report.failures, report.strands, report.clusters, report.cases, report.unanswered) == (0, {}, [], [], [])


@pytest.mark.parametrize("live", [set[str](), {"doc_1"}, {"doc_2", "doc_3"}, {"doc_1", "doc_2"}])
def test_the_words_of_documents_that_are_gone_are_withheld(live: set[str]) -> None:
    report = report_of(
        make_diagnosed("retrieval", "limit", passage("doc_1"), passage("doc_2")),
        make_diagnosed("base", "base", passage("doc_1")),
    )
    assert list_documents(report) == {"doc_1", "doc_2"}
    shown = [one for case in withhold_passages(report, live).cases for one in case.passages]
    assert [one.document_id for one in shown] == ["doc_1", "doc_2", "doc_1"], "that there was a passage stays"
    for one in shown:
        words = ("Terms", "24 months", False) if one.document_id in live else ("", "", True)
        assert (one.heading, one.text, one.deleted) == words
    assert [one.text for case in report.cases for one in case.passages] == ["24 months"] * 3, "the stored one is whole"
