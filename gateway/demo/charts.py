"""The report's charts, drawn as SVG; colours are classes of the page's style sheet, which knows light and dark."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from statistics import fmean

from gateway.demo.first_answers import FirstAnswer
from gateway.demo.training import LossPoint, TrainedAdapter
from gateway.evaluation import VariantResult
from gateway.evaluation.svg import WIDTH, Panel, draw_panels, draw_text, wrap_svg

__all__ = ["draw_intervals", "draw_losses", "draw_timeline", "format_minutes"]

_LABEL_HEIGHT = 16.0
_WINDOW = 5  # steps that a loss curve's point is the mean of
_SERIES = ("series-1", "series-2", "series-3", "series-4")


def draw_intervals(results: Mapping[str, VariantResult]) -> str:
    """Draw style, facts and citations of each variant, as dots with their 95 % intervals."""
    panels: list[Panel] = [
        ("style rules met", "series-1", [result.style for result in results.values()]),
        ("right facts", "series-2", [result.facts for result in results.values()]),
        ("cited right", "series-3", [result.cited for result in results.values()]),
    ]
    labels = [result.label for result in results.values()]
    return draw_panels(labels, panels, "Style, facts and citations of each variant")


def draw_losses(adapters: Mapping[str, TrainedAdapter]) -> str:
    """Draw the training loss of each step, smoothed, and the validation loss after each epoch, on a log scale."""
    left, top, bottom, right = 40, 40, 260, WIDTH - 120
    last_step = max(point.step for adapter in adapters.values() for point in adapter.training_losses)
    curves = {name: _smooth(adapter.training_losses) for name, adapter in adapters.items()}
    points = [point for curve in curves.values() for point in curve]
    points += [point for adapter in adapters.values() for point in adapter.validation_losses]
    ticks = _log_ticks([point.loss for point in points])
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(point: LossPoint) -> tuple[float, float]:
        share = (math.log(max(point.loss, ticks[0])) - low) / (high - low)
        return left + (right - left) * point.step / last_step, bottom - (bottom - top) * share

    parts = [draw_text(0, 12, "loss per reply token, log scale", "muted")]
    for tick in ticks:
        _, y = place(LossPoint(0, tick))
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(draw_text(left - 8, y, f"{tick:g}", "tick", anchor="end"))
    for step in sorted({1, round(last_step / 2), last_step}):
        x, _ = place(LossPoint(step, 1))
        parts.append(draw_text(x, bottom + 18, f"step {step}", "tick", anchor="middle"))
    ends = _spread([place(curve[-1])[1] for curve in curves.values()])
    for (name, curve), series, end in zip(curves.items(), _SERIES, ends, strict=False):
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, curve))
        parts.append(f'<polyline class="{series} curve" points="{line}"/>')
        for point in adapters[name].validation_losses:
            x, y = place(point)
            tip = f"{name}: validation loss {point.loss:.3f} after step {point.step}"
            parts.append(
                f'<circle class="{series} hollow" cx="{x:.1f}" cy="{y:.1f}" r="6"><title>{escape(tip)}</title></circle>'
            )
        parts.append(draw_text(right + 20, end, name, f"{series} name"))
    return wrap_svg(bottom + 30, "Loss while training, by step", parts)


def draw_timeline(step_seconds: Mapping[str, float], first_answers: Sequence[FirstAnswer]) -> str:
    """Draw the steps as one bar in the order in which they ran, with the moments of the first answers."""
    total = max(sum(step_seconds.values()), 0.1)
    top, thickness = 60, 26
    parts: list[str] = []
    start = 0.0
    for number, (name, seconds) in enumerate(step_seconds.items()):
        width = WIDTH * seconds / total
        label = name.replace("_", ": ")
        parts.append(
            f"<g><title>{escape(f'{label}: {seconds:.0f} s')}</title>"
            f'<rect class="step-{number % 2}" x="{start:.1f}" y="{top}" width="{max(width - 2, 0.5):.1f}" '
            f'height="{thickness}" rx="3"/></g>'
        )
        if width > 7 * len(label):
            parts.append(draw_text(start + width / 2, top + thickness / 2, label, "inside", anchor="middle"))
            parts.append(
                draw_text(start + width / 2, top + thickness + 14, f"{seconds:.0f} s", "tick", anchor="middle")
            )
        start += width
    for number, first in enumerate(first_answers):
        x = WIDTH * min(first.seconds / total, 1)
        label = f"{format_minutes(first.seconds)} {'first facts' if number == 0 else f'{first.tenant} in style'}"
        height = top - 18 - 18 * (number % 2)  # neighbours at two heights, so that they don't lie on each other
        anchor = "end" if x > WIDTH * 0.8 else "start"
        parts.append(f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="{height - 6:.1f}" y2="{top + thickness}"/>')
        parts.append(draw_text(x + (5 if anchor == "start" else -5), height, label, "label", anchor=anchor))
    return wrap_svg(top + thickness + 24, "Steps and their times", parts)


def format_minutes(seconds: float) -> str:
    """Return minutes and seconds, as on a clock."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _smooth(points: Sequence[LossPoint]) -> list[LossPoint]:
    """Return the running mean of the last steps: single steps of two rows jump too much to be read."""
    losses = [point.loss for point in points]
    return [LossPoint(point.step, fmean(losses[max(0, end - _WINDOW) : end])) for end, point in enumerate(points, 1)]


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Return 1, 3, 10, … times powers of ten, from below the least value to above the greatest."""
    steps = [base * 10.0**power for power in range(-4, 3) for base in (1, 3)]
    below = max((step for step in steps if step <= min(values)), default=steps[0])
    above = min((step for step in steps if step >= max(values) and step > below), default=steps[-1])
    return [step for step in steps if below <= step <= above]


def _spread(heights: Iterable[float]) -> list[float]:
    """Move labels apart that would lie on each other, downwards."""
    heights = list(heights)
    placed: dict[int, float] = {}
    below = float("-inf")
    for index in sorted(range(len(heights)), key=heights.__getitem__):
        placed[index] = below = max(heights[index], below + _LABEL_HEIGHT)
    return [placed[index] for index in range(len(heights))]
