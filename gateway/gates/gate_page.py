"""A gate's report as one page with pictures, which needs nothing but itself."""

from markupsafe import Markup

from gateway.evaluation.report_template import render_report
from gateway.evaluation.svg import Panel, draw_panels
from gateway.gates.checks import Check
from gateway.gates.report import GateReport

__all__ = ["draw_differences", "draw_parts", "render_page"]

_LISTED_EXAMPLES = 20
_LIKELIHOODS = ("style.likelihood", "style.control", "style.likelihood_kept", "general.neutral")


def render_page(report: GateReport) -> str:
    """Return the report as HTML; everything in it that came from rows or answers is escaped."""
    return render_report(
        "gateway.gates",
        "gate_page.html.jinja",
        report.created_at,
        report=report,
        charts={
            "Likelihood, in nats per token": Markup(draw_differences(report, "likelihood")),
            "Shares": Markup(draw_differences(report, "share")),
            "Candidate and baseline": Markup(draw_parts(report)),
        },
        general=[one.name for one in report.checks if one.part == "general"],
        examples=report.examples[:_LISTED_EXAMPLES],
    )


def draw_differences(report: GateReport, unit: str) -> str:
    """Draw the paired differences: of log-probabilities (`likelihood`), or of shares (`share`)."""
    checks = [
        one for one in report.checks if one.difference is not None and _is_likelihood(one) == (unit == "likelihood")
    ]
    if not checks:
        return ""
    estimates = [one.difference for one in checks]
    ends = [abs(end) for one in estimates if one is not None for end in (one.low, one.high)]
    reach = next((step for step in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if max(ends) <= step), 10.0)
    panels: list[Panel] = [("candidate less what it is compared with", "series-1", estimates)]
    labels = [one.name for one in checks]
    return draw_panels(labels, panels, f"Differences of {unit}", limits=(-reach, reach))


def draw_parts(report: GateReport) -> str:
    """Draw the shares of the candidate beside those of its baselines."""
    checks = [one for one in report.checks if one.candidate is not None and not _is_likelihood(one)]
    if not checks:
        return ""
    panels: list[Panel] = [
        ("candidate", "series-1", [one.candidate for one in checks]),
        ("baseline", "series-2", [one.baseline for one in checks]),
    ]
    return draw_panels([one.name for one in checks], panels, "Shares of the candidate and its baselines")


def _is_likelihood(check: Check) -> bool:
    return check.name in _LIKELIHOODS
