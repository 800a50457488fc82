from typing import Any

import pytest
from rich.console import Console

from gateway.demo.assistants import BASE, BOTH, FACTS, STYLE
from gateway.demo.report import find_shortfalls, make_table
from gateway.demo.size import FULL, SMALL
from gateway.evaluation import Estimate, VariantResult


def result(label: str, *, style: float, facts: float, cited: float | None = None) -> VariantResult:
    def estimate(value: float) -> Estimate:
        return Estimate(value, 32, value / 2, 1.0, "wilson")

    return VariantResult(
        label=label,
        style=estimate(style),
        facts=estimate(facts),
        cited=None if cited is None else estimate(cited),
        prompt_tokens=254.2,
        first_token=None if label == "base" else 0.25,
        latency=None if label == "base" else 1.5,
        timed=3,
    )


def results(**both: Any) -> dict[str, VariantResult]:
    figures: dict[str, Any] = {"style": 1.0, "facts": 0.95, "cited": 0.95, **both}
    return {
        BASE: result("base", style=0.2, facts=0.0),
        STYLE: result("style only", style=0.98, facts=0.0),
        FACTS: result("facts only", style=0.2, facts=0.9, cited=0.0),
        BOTH: result("both", **figures),
    }


def test_kept_promises_leave_no_shortfall() -> None:
    assert find_shortfalls(results(), FULL.promises) == []


@pytest.mark.parametrize(
    ("both", "shortfalls"),
    [
        ({"style": 0.8}, ["style: 0.80, and at least", "style: 0.80, below style only (0.98)"]),
        ({"style": 0.97}, ["style: 0.97, below style only"]),
        ({"facts": 0.5}, ["facts: 0.50, and at least", "facts: 0.50, below facts only (0.90)"]),
        ({"cited": 0.5}, ["citations: 0.50, and at least"]),
        ({"cited": None}, ["citations: 0.00, and at least"]),
    ],
)
def test_each_broken_promise_is_said(both: dict[str, Any], shortfalls: list[str]) -> None:
    texts = find_shortfalls(results(**both), FULL.promises)
    assert len(texts) == len(shortfalls)
    assert all(text.startswith(expected) for text, expected in zip(texts, shortfalls, strict=True))


def test_a_small_demo_promises_less() -> None:
    weak = results(style=0.95, facts=0.5, cited=0.5)
    assert find_shortfalls(weak, FULL.promises)
    assert find_shortfalls(weak, SMALL.promises) == []


def test_the_table_has_a_line_per_variant_and_dashes_for_what_was_not_measured() -> None:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(make_table(results(), "all tenants"))
    title, header, base, *_, both = capture.get().splitlines()
    assert title.strip() == "all tenants"
    assert header.split()[0] == "variant"
    assert base.split()[0] == "base"
    assert base.count("–") == 5  # two intervals, and no citations, first token or latency
    assert both.split() == [
        *("both", "1.00", "(0.50–1.00)", "0.95", "(0.47–1.00)", "0.95", "(0.47–1.00)"),
        *("254", "0.25", "s", "1.50", "s", "32"),
    ]
