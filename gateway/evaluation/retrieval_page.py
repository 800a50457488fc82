"""A retrieval evaluation's report as one page with pictures, which needs nothing but itself."""

from markupsafe import Markup

from gateway.evaluation.abstention import LEAST_PRECISION
from gateway.evaluation.labels import Half
from gateway.evaluation.ranking_metrics import METRICS
from gateway.evaluation.report_template import render_report
from gateway.evaluation.retrieval_charts import draw_abstention, draw_differences, draw_metrics
from gateway.evaluation.retrieval_report import RetrievalReport
from gateway.evaluation.retrieval_run import QuestionResult
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = ["list_misses", "render_page"]

_LISTED_MISSES = 40
_HALVES: tuple[Half, Half] = ("report", "tune")


def render_page(report: RetrievalReport) -> str:
    """Return the report as HTML; everything in it that came from questions or documents is escaped."""
    halves: list[Half] = [half for half in _HALVES if half in report.halves]
    first = report.configurations[0]
    return render_report(
        "gateway.evaluation",
        "retrieval_page.html.jinja",
        report.created_at,
        report=report,
        halves=halves,
        metrics=METRICS,
        least_precision=LEAST_PRECISION,
        default_limit=LEAST_PROBABILITY,
        charts={half: Markup(draw_metrics(report, half)) for half in halves},
        differences={half: Markup(draw_differences(report, half)) for half in halves if report.comparisons},
        abstention={
            half: Markup(draw_abstention(first, half, by_score=report.score_threshold is not None))
            for half in halves
            if (abstention := first.halves[half].abstention) and abstention.unanswerable
        },
        misses=list_misses(first.results, halves[0])[:_LISTED_MISSES],
    )


def list_misses(results: list[QuestionResult], half: Half) -> list[QuestionResult]:
    """Return the half's questions with an answer that isn't among the first ten documents."""
    return [
        result
        for result in results
        if result.half == half
        and result.answerable
        and not set(result.expected) & {hit.document for hit in result.ranking[:10]}
    ]
