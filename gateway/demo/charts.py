"""The report's charts, drawn as SVG; colours are classes of the page's style sheet, which knows light and dark."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from gateway.demo.first_answers import FirstAnswer
from gateway.demo.training import LossPoint, TrainedAdapter
from gateway.evaluation import Estimate, VariantResult

__all__ = ["draw_intervals", "draw_losses", "draw_timeline", "format_minutes"]

_WIDTH = 880  # of every chart's own coordinates; the page scales it
_WINDOW = 5  # steps that a loss curve's point is the mean of
_SERIES = ("series-1", "series-2", "series-3", "series-4")


def draw_intervals(results: Mapping[str, VariantResult]) -> str:
    """Draw style, facts and citations of each variant, as dots with their 95 % intervals."""
    panels: list[tuple[str, str, list[Estimate | None]]] = [
        ("style rules met", "series-1", [result.style for result in results.values()]),
        ("right facts", "series-2", [result.facts for result in results.values()]),
        ("cited right", "series-3", [result.cited for result in results.values()]),
    ]
    left, top, row, gap, right = 150, 34, 30, 44, 14
    width = (_WIDTH - left - right - gap * (len(panels) - 1)) / len(panels)
    height = top + row * len(results)
    parts = [
        _text(left - 14, top + row * (index + 0.5), result.label, "label", anchor="end")
        for index, result in enumerate(results.values())
    ]
    for number, (title, series, estimates) in enumerate(panels):
        start = left + number * (width + gap)
        parts.append(_text(start, 14, title, "title"))
        parts += _vertical_grid(start, width, top, height, [0, 0.25, 0.5, 0.75, 1])
        for index, estimate in enumerate(estimates):
            y = top + row * (index + 0.5)
            parts.append(_interval(start, width, y, estimate, series, title))
    return _svg(height + 24, "Style, facts and citations of each variant", parts)


def _interval(start: float, width: float, y: float, estimate: Estimate | None, series: str, title: str) -> str:
    if estimate is None:
        return _text(start, y, "nothing retrieved", "muted")
    low, high, value = (start + width * share for share in (estimate.low, estimate.high, estimate.value))
    tip = f"{title}: {estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f}), n = {estimate.n}"
    return (
        f"<g><title>{escape(tip)}</title>"
        f'<line class="{series} whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle class="{series} dot" cx="{value:.1f}" cy="{y:.1f}" r="5.5"/></g>'
    )


def draw_losses(adapters: Mapping[str, TrainedAdapter]) -> str:
    """Draw the training loss of each step, smoothed, and the validation loss after each epoch, on a log scale."""
    left, top, bottom, right = 40, 40, 260, _WIDTH - 120
    last_step = max(point.step for adapter in adapters.values() for point in adapter.training_losses)
    curves = {name: _smooth(adapter.training_losses) for name, adapter in adapters.items()}
    points = [point for curve in curves.values() for point in curve]
    points += [point for adapter in adapters.values() for point in adapter.validation_losses]
    ticks = _log_ticks([point.loss for point in points])
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(point: LossPoint) -> tuple[float, float]:
        share = (math.log(max(point.loss, ticks[0])) - low) / (high - low)
        return left + (right - left) * point.step / last_step, bottom - (bottom - top) * share

    parts = [_text(0, 12, "loss per reply token, log scale", "muted")]
    for tick in ticks:
        _, y = place(LossPoint(0, tick))
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y, f"{tick:g}", "tick", anchor="end"))
    for step in sorted({1, round(last_step / 2), last_step}):
        x, _ = place(LossPoint(step, 1))
        parts.append(_text(x, bottom + 18, f"step {step}", "tick", anchor="middle"))
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
        parts.append(_text(right + 20, end, name, f"{series} name"))
    return _svg(bottom + 30, "Loss while training, by step", parts)


def draw_timeline(step_seconds: Mapping[str, float], first_answers: Sequence[FirstAnswer]) -> str:
    """Draw the steps as one bar in the order in which they ran, with the moments of the first answers."""
    total = max(sum(step_seconds.values()), 0.1)
    top, thickness = 60, 26
    parts: list[str] = []
    start = 0.0
    for number, (name, seconds) in enumerate(step_seconds.items()):
        width = _WIDTH * seconds / total
        label = name.replace("_", ": ")
        parts.append(
            f"<g><title>{escape(f'{label}: {seconds:.0f} s')}</title>"
            f'<rect class="step-{number % 2}" x="{start:.1f}" y="{top}" width="{max(width - 2, 0.5):.1f}" '
            f'height="{thickness}" rx="3"/></g>'
        )
        if width > 7 * len(label):
            parts.append(_text(start + width / 2, top + thickness / 2, label, "inside", anchor="middle"))
            parts.append(_text(start + width / 2, top + thickness + 14, f"{seconds:.0f} s", "tick", anchor="middle"))
        start += width
    for number, first in enumerate(first_answers):
        x = _WIDTH * min(first.seconds / total, 1)
        label = f"{format_minutes(first.seconds)} {'first facts' if number == 0 else f'{first.tenant} in style'}"
        height = top - 18 - 18 * (number % 2)  # neighbours at two heights, so that they don't lie on each other
        anchor = "end" if x > _WIDTH * 0.8 else "start"
        parts.append(f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="{height - 6:.1f}" y2="{top + thickness}"/>')
        parts.append(_text(x + (5 if anchor == "start" else -5), height, label, "label", anchor=anchor))
    return _svg(top + thickness + 24, "Steps and their times", parts)


def format_minutes(seconds: float) -> str:
    """Return minutes and seconds, as on a clock."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _smooth(points: Sequence[LossPoint], window: int = _WINDOW) -> list[LossPoint]:
    """Return the running mean of the last steps: single steps of two rows jump too much to be read."""
    losses = [point.loss for point in points]
    return [
        LossPoint(point.step, sum(losses[max(0, end - window) : end]) / (end - max(0, end - window)))
        for end, point in enumerate(points, 1)
    ]


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Return 1, 3, 10, … times powers of ten, from below the least value to above the greatest."""
    steps = [base * 10.0**power for power in range(-4, 3) for base in (1, 3)]
    below = max((step for step in steps if step <= min(values)), default=steps[0])
    above = min((step for step in steps if step >= max(values) and step > below), default=steps[-1])
    return [step for step in steps if below <= step <= above]


def _spread(heights: Iterable[float], least: float = 16) -> list[float]:
    """Move labels apart that would lie on each other, downwards."""
    heights = list(heights)
    placed: dict[int, float] = {}
    below = float("-inf")
    for index in sorted(range(len(heights)), key=heights.__getitem__):
        placed[index] = below = max(heights[index], below + least)
    return [placed[index] for index in range(len(heights))]


def _vertical_grid(start: float, width: float, top: float, bottom: float, shares: Sequence[float]) -> list[str]:
    parts: list[str] = []
    for share in shares:
        x = start + width * share
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{bottom}"/>')
        if share in (0, 0.5, 1):
            parts.append(_text(x, bottom + 14, f"{share:g}", "tick", anchor="middle"))
    return parts


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle">'
        f"{escape(text)}</text>"
    )


def _svg(height: float, label: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
