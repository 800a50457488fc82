"""A diagnosis's report as one page, which needs nothing but itself."""

from markupsafe import Markup

from gateway.diagnoses.report import EXPLANATIONS, DiagnosisReport
from gateway.evaluation.estimate import estimate_share
from gateway.evaluation.report_template import render_report
from gateway.evaluation.svg import Panel, draw_panels

__all__ = ["draw_strands", "render_page"]

_LISTED_CASES = 60


def render_page(report: DiagnosisReport) -> str:
    """Return the report as HTML; everything in it that came from questions, answers or documents is escaped."""
    return render_report(
        "gateway.diagnoses",
        "diagnosis_page.html.jinja",
        report.created_at,
        report=report,
        chart=Markup(draw_strands(report)),
        explanations=EXPLANATIONS,
        cases=report.cases[:_LISTED_CASES],
    )


def draw_strands(report: DiagnosisReport) -> str:
    """Draw the share of the failures that each strand has, with Wilson's interval."""
    if not report.failures:
        return ""
    shares = [estimate_share([True] * count + [False] * (report.failures - count)) for count in report.strands.values()]
    panels: list[Panel] = [("share of the failures", "series-1", shares)]
    return draw_panels(list(report.strands), panels, "Failures by strand")
