"""A gate's page: what was measured and what to do next, whatever its texts are."""

import pytest

from gateway.evaluation.estimate import Estimate
from gateway.gates.checks import Check, Thresholds
from gateway.gates.gate_page import render_page
from gateway.gates.report import ExampleRow, GateReport
from tests.gateway.demo.test_page import Checker

ODD = ["<script>alert(1)</script>", "\u202eדוח \u2067عقد\u2069", "x" * 200, '{{ 7 * 7 }} & "quoted"']
LESS = Estimate(-0.2, 40, -0.3, -0.1, "bootstrap")


def make_report(name: str, *failed: str, undecided: bool = False) -> GateReport:
    parts = {"style": "style.voice", "faithfulness": "faithfulness", "general": "general"}
    checks = [
        Check(one, part, f"{name} kept", LESS, LESS, LESS, name, "at least 0", one not in failed, name)  # pyright: ignore[reportArgumentType]
        for part, one in parts.items()
    ]
    example = ExampleRow(1, name, name, {"candidate": name, name: name}, [name])
    return GateReport(
        *("gate", name, "rel_1", name, name, 1_760_000_000, name, 40, [3], [4], {"vs_1": [7]}, Thresholds()),
        *(not failed, list(failed), checks, {name: name}, [name], name, [example], [name]),
        undecided=list(failed) if undecided else [],
    )


def read(report: GateReport) -> str:
    checker = Checker()
    checker.feed(render_page(report))
    assert (checker.open, checker.addresses, "script" in checker.tags) == ([], [], False)
    return " ".join(" ".join(checker.text).split())


@pytest.mark.parametrize("name", ODD)
def test_texts_of_any_kind_stand_in_the_page_as_they_are(name: str) -> None:
    text = read(make_report(name, "general"))
    assert " ".join(name.split()) in text
    assert "-0.200 (-0.300 to -0.100)" in text


def test_the_page_says_what_to_do_next() -> None:
    assert "Next: a rollout may give desk@4 traffic" in read(make_report("desk@4"))
    failed = read(make_report("desk@4", "general"))
    assert "no more traffic, unless it is forced with a reason" in failed
    assert "half the rate" in failed
    assert "more held-out rows" not in failed
    undecided = read(make_report("desk@4", "faithfulness", undecided=True))
    assert ("half the rate" in undecided, "more held-out rows" in undecided) == (False, True)
