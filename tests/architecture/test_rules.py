"""House rules on the source. An exception stands in `ruled.py`, with its reason, or it isn't one."""

import pytest

from tests.architecture.ruled import RULES, Rule, breaches

EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)


@EACH
def test_nothing_breaks_the_rule(rule: Rule) -> None:
    assert breaches(rule) - set(rule.reasons) == set()


@EACH
def test_every_exception_is_still_needed(rule: Rule) -> None:
    assert set(rule.reasons) - breaches(rule) == set()


@EACH
def test_the_check_sees_what_breaks_the_rule(rule: Rule) -> None:
    assert rule.check(rule.broken)
