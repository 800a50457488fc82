"""An advice as one page with pictures, which needs nothing but itself."""

from markupsafe import Markup

from gateway.advice.report import AdviceReport
from gateway.evaluation.report_template import render_report
from gateway.evaluation.svg import Panel, draw_panels

__all__ = ["draw_arms", "draw_comparisons", "render_page"]


def render_page(report: AdviceReport) -> str:
    """Return the report as HTML; everything in it that came from rows, documents or answers is escaped."""
    return render_report(
        "gateway.advice",
        "advice_page.html.jinja",
        report.created_at,
        report=report,
        charts={
            "Style and facts": Markup(draw_arms(report)),
            "Differences that decided": Markup(draw_comparisons(report)),
        },
    )


def draw_arms(report: AdviceReport) -> str:
    """Draw the arms' style (of a bounded task the replies that are right) and facts, side by side."""
    first = ("replies that are right", [arm.task for arm in report.arms])
    if not report.bounded:
        first = ("style", [arm.style for arm in report.arms])
    panels: list[Panel] = [
        (first[0], "series-1", first[1]),
        ("facts", "series-2", [arm.facts for arm in report.arms]),
    ]
    drawn = [panel for panel in panels if all(one is not None for one in panel[2])]
    return draw_panels([arm.name for arm in report.arms], drawn, "Style and facts by arm") if drawn else ""


def draw_comparisons(report: AdviceReport) -> str:
    """Draw the paired differences that the recommendation looked at."""
    if not report.comparisons:
        return ""
    labels = [f"{one.arm}: {one.measure}" for one in report.comparisons]
    panels: list[Panel] = [("more than before", "series-1", [one.difference for one in report.comparisons])]
    return draw_panels(labels, panels, "Paired differences", limits=(-1.0, 1.0))
