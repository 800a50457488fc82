"""The whole demo, as `make demo-check` runs it before a release: both tenants, all questions, every promise.

It takes 10 to 15 minutes on two cores; every other run makes do with the small demo (`test_demo.py`).
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.demo import Demo, keeping_demo

MINUTE = 60

pytestmark = [pytest.mark.e2e, pytest.mark.release, pytest.mark.timeout(45 * MINUTE)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with keeping_demo(tmp_path_factory.mktemp("b"), "full") as demo:
        yield demo


def test_both_strands_do_what_neither_does_alone(demo: Demo) -> None:
    results = {
        variant: {kind: row[kind]["value"] for kind in ("style", "facts")}
        for variant, row in demo.report["results"].items()
    }
    both, style_only, facts_only = results["both"], results["style"], results["facts"]
    assert both["style"] >= 0.95
    assert both["facts"] >= 0.9
    assert both["style"] >= style_only["style"]
    assert both["facts"] >= facts_only["facts"]
    assert style_only["facts"] < 0.1


def test_every_promise_is_kept(demo: Demo) -> None:
    assert demo.report["faults"] == []
    assert demo.report["passed"]


def test_at_least_twelve_questions_per_tenant_in_five_variants(demo: Demo) -> None:
    counts = Counter((answer["group"], answer["variant"]) for answer in demo.report["answers"])
    assert len(counts) == 10
    assert min(counts.values()) >= 12
