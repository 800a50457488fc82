"""The charts of a retrieval evaluation's page."""

from collections.abc import Sequence

from gateway.evaluation.abstention import AbstentionPoint, trace_abstention
from gateway.evaluation.labels import Half
from gateway.evaluation.ranking_metrics import METRICS
from gateway.evaluation.retrieval_report import Configuration, RetrievalReport
from gateway.evaluation.svg import WIDTH, Panel, draw_panels, draw_text, wrap_svg

__all__ = ["draw_abstention", "draw_differences", "draw_metrics"]

_SERIES = ("series-1", "series-2", "series-3", "series-4")


def draw_metrics(report: RetrievalReport, half: Half) -> str:
    """Draw every metric of each configuration, as dots with their 95 % intervals."""
    panels: list[Panel] = [
        (name, series, [one.halves[half].metrics.get(name) for one in report.configurations])
        for name, series in zip(METRICS, _SERIES, strict=True)
    ]
    labels = [_shorten(one.name) for one in report.configurations]
    return draw_panels(labels, panels, f"Metrics of each configuration, {half} half")


def draw_differences(report: RetrievalReport, half: Half) -> str:
    """Draw the paired differences of each configuration to the first one."""
    comparisons = [one for one in report.comparisons if one.half == half]
    ends = [abs(end) for one in comparisons for each in one.differences.values() for end in (each.low, each.high)]
    reach = next((step for step in (0.05, 0.1, 0.2, 0.5) if max(ends, default=0.0) <= step), 1.0)
    panels: list[Panel] = [
        (name, series, [one.differences.get(name) for one in comparisons])
        for name, series in zip(METRICS, _SERIES, strict=True)
    ]
    labels = [_shorten(one.configuration) for one in comparisons]
    return draw_panels(labels, panels, f"Differences to the first one, {half} half", limits=(-reach, reach))


def draw_abstention(configuration: Configuration, half: Half, *, by_score: bool) -> str:
    """Draw precision and recall of abstention by its limit: of the probability of an answer, or of the best score."""
    results = [result for result in configuration.results if result.half == half]
    points = trace_abstention([result.top_score if by_score else result.likeliness for result in results])
    measure = "score threshold" if by_score else "least probability"
    left, top, bottom, right = 40, 20, 240, WIDTH - 120
    parts: list[str] = []
    for step in range(5):
        y = bottom - (bottom - top) * step / 4
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(draw_text(left - 8, y, f"{step / 4:g}", "tick", anchor="end"))
        x = left + (right - left) * step / 4
        parts.append(draw_text(x, bottom + 18, f"{step / 4:g}", "tick", anchor="middle"))
    curves = {
        "recall": [(point.threshold, point.recall) for point in points],
        "precision": _drop_gaps(points),
    }
    for number, ((name, curve), series) in enumerate(zip(curves.items(), _SERIES, strict=False)):
        places = [(left + (right - left) * x, bottom - (bottom - top) * y) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="{series} curve" points="{line}"/>')
        parts.append(draw_text(right + 20, top + 18 * number, name, f"{series} name"))
    if configuration.tuned_threshold is not None:
        x = left + (right - left) * min(configuration.tuned_threshold, 1.0)
        parts.append(f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{bottom}"/>')
        parts.append(draw_text(x + 5, top - 10, f"tuned: {configuration.tuned_threshold:.3f}", "label"))
    parts.append(draw_text((left + right) / 2, bottom + 38, measure, "muted", anchor="middle"))
    return wrap_svg(bottom + 50, f"Abstention by the {measure}, {half} half", parts)


def _drop_gaps(points: Sequence[AbstentionPoint]) -> list[tuple[float, float]]:
    return [(point.threshold, point.precision) for point in points if point.precision is not None]


def _shorten(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
