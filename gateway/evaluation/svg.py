"""Parts of charts as SVG; colours are classes of the reports' style sheet, which knows light and dark."""

from collections.abc import Iterable, Sequence
from html import escape

from gateway.evaluation.estimate import Estimate

__all__ = ["WIDTH", "Panel", "draw_interval", "draw_panels", "draw_text", "draw_vertical_grid", "wrap_svg"]

WIDTH = 880
"""Of every chart's own coordinates; the page scales it."""

_LETTER, _MOST_LEFT = 7, 320
"""Coordinates of a label's letter, about, and of the widest room for labels."""

Panel = tuple[str, str, Sequence[Estimate | None]]
"""A panel's title, its series' class, and the estimate of each row; None where a row has none."""


def draw_panels(
    labels: Sequence[str], panels: Sequence[Panel], description: str, *, limits: tuple[float, float] = (0.0, 1.0)
) -> str:
    """Draw estimates as dots with their intervals: a row for each label, panels side by side on one scale.

    Long labels have more room, and the longest are shortened; a pointer shows them whole.
    """
    margin = min(max(150, 24 + _LETTER * max(map(len, labels), default=0)), _MOST_LEFT)
    top, row, gap, right = 34, 30, 44, 14
    width = (WIDTH - margin - right - gap * (len(panels) - 1)) / len(panels)
    height = top + row * len(labels)
    parts = [
        f"<g><title>{escape(label)}</title>"
        f"{draw_text(margin - 14, top + row * (index + 0.5), _shorten(label), 'label', anchor='end')}</g>"
        for index, label in enumerate(labels)
    ]
    for number, (title, series, estimates) in enumerate(panels):
        start = margin + number * (width + gap)
        parts.append(draw_text(start, 14, title, "title"))
        parts += draw_vertical_grid(start, width, top, height, limits)
        for index, estimate in enumerate(estimates):
            y = top + row * (index + 0.5)
            parts.append(draw_interval(start, width, y, estimate, series, title, limits))
    return wrap_svg(height + 24, description, parts)


def _shorten(label: str) -> str:
    most = (_MOST_LEFT - 24) // _LETTER
    return label if len(label) <= most else f"{label[: most - 1]}…"


def draw_interval(
    start: float,
    width: float,
    y: float,
    estimate: Estimate | None,
    series: str,
    title: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> str:
    """Draw an estimate as a dot with its interval; of one that isn't there, that it isn't."""
    if estimate is None:
        return draw_text(start, y, "nothing retrieved", "muted")
    bottom, top = limits
    low, high, value = (
        start + width * min(max((share - bottom) / (top - bottom), 0.0), 1.0)
        for share in (estimate.low, estimate.high, estimate.value)
    )
    tip = f"{title}: {estimate}, n = {estimate.n}"
    return (
        f"<g><title>{escape(tip)}</title>"
        f'<line class="{series} whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle class="{series} dot" cx="{value:.1f}" cy="{y:.1f}" r="5.5"/></g>'
    )


def draw_vertical_grid(
    start: float, width: float, top: float, bottom: float, limits: tuple[float, float] = (0.0, 1.0)
) -> list[str]:
    """Draw five lines from one limit to the other, with numbers at the ends and in the middle."""
    parts: list[str] = []
    low, high = limits
    for step in range(5):
        x = start + width * step / 4
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{bottom}"/>')
        if step % 2 == 0:
            parts.append(draw_text(x, bottom + 14, f"{low + (high - low) * step / 4:g}", "tick", anchor="middle"))
    return parts


def draw_text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle">'
        f"{escape(text)}</text>"
    )


def wrap_svg(height: float, label: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
