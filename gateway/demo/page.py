"""The report as one page with pictures, which needs nothing but itself: no network, no scripts."""

import re
from pathlib import Path

import msgspec
from markupsafe import Markup, escape

from gateway.demo.assistants import BOTH
from gateway.demo.charts import draw_intervals, draw_losses, draw_timeline, format_minutes
from gateway.demo.report import Report
from gateway.evaluation.report_template import render_report

__all__ = ["render_page", "save_page"]

_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")


def save_page(report: Report, file: Path) -> None:
    """Write the report's page."""
    file.write_text(render_page(report), encoding="utf-8")


def render_page(report: Report) -> str:
    """Return the report as HTML; everything in it that came from a model or a document is escaped."""
    return render_report(
        "gateway.demo",
        "page.html.jinja",
        report.created_at,
        report=report,
        faults=report.list_faults(),
        both=report.results[BOTH],
        total=sum(report.step_seconds.values()),
        intervals=Markup(draw_intervals(report.results)),
        losses=Markup(draw_losses(report.adapters)),
        timeline=Markup(draw_timeline(report.step_seconds, report.first_answers)),
        clock=format_minutes,
        answer=_format_answer,
        # A browser looks for tags in a script's text, too.
        data=Markup(msgspec.json.encode(report).decode().replace("<", r"\u003c")),
    )


def _format_answer(text: str, value: str = "") -> Markup:
    """Return an answer with its Markdown bold as bold, and `value` marked."""
    html = _BOLD.sub(r"<strong>\1</strong>", str(escape(text)))
    if value:
        html = html.replace(str(escape(value)), f"<mark>{escape(value)}</mark>")
    return Markup(html)
