"""A diagnosis's report as one page, which needs nothing but itself."""

import time
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gateway.diagnoses.report import EXPLANATIONS, DiagnosisReport
from gateway.evaluation.estimate import estimate_share
from gateway.evaluation.svg import Panel, draw_panels

__all__ = ["draw_strands", "render_page"]

_LISTED_CASES = 60


def render_page(report: DiagnosisReport) -> str:
    """Return the report as HTML; everything in it that came from questions, answers or documents is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    package = files("gateway.diagnoses")
    template = environment.from_string((package / "diagnosis_page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        style=Markup((files("gateway.evaluation") / "report.css").read_text(encoding="utf-8")),
        created=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(report.created_at)),
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
