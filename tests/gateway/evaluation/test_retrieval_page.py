import pytest

from gateway.evaluation.retrieval_page import list_misses, render_page
from gateway.evaluation.retrieval_report import RetrievalReport, make_report
from tests.gateway.demo.test_page import Checker
from tests.gateway.evaluation.retrieval_reports import QUESTIONS, make_results, make_sample

ANSWERED = [question for question in QUESTIONS if question.answerable]
REPORTS = [
    make_sample(2),
    make_sample(2, 1, 12),
    make_report("q.csv", "<b>", [("one half", make_results(1, [q for q in ANSWERED if q.half == "tune"]))]),
    make_report("q.csv", "s", [("no answers", make_results(1, [q for q in QUESTIONS if not q.answerable]))]),
    make_report("q.csv", "s", [("earlier", make_results(2, likely=None))]),
]


@pytest.mark.parametrize("report", REPORTS, ids=["one", "three", "one half", "no answers", "earlier"])
def test_the_page_is_whole_and_needs_nothing_else(report: RetrievalReport) -> None:
    checker = Checker()
    checker.feed(render_page(report))
    assert checker.open == []
    assert checker.addresses == []
    assert "script" not in checker.tags
    assert "svg" in checker.tags
    text = " ".join(checker.text)
    assert report.store in text
    assert report.configurations[0].name in text
    assert report.method in text


def test_the_page_says_by_what_abstention_is_counted() -> None:
    by_score = make_report("q.csv", "s", [("one", make_results(1))], score_threshold=0.5)
    for report, words in ((make_sample(1), "<th>least probability"), (by_score, "<th>score threshold")):
        page = render_page(report)
        assert [each in page for each in ("<th>least probability", "<th>score threshold")].count(True) == 1
        assert words in page


def test_the_page_lists_what_was_missed() -> None:
    assert list_misses(make_results(10), "report") == []
    report = make_sample(12)
    misses = list_misses(report.configurations[0].results, "report")
    assert len(misses) == report.configurations[0].halves["report"].answerable
    assert misses[0].text in render_page(report)
