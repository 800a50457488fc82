"""House rules on the source. An exception stands in `ruled.py`, with its reason, or it isn't one."""

import pytest

from tests.architecture.ruled import RULES, Rule, breaches
from tests.architecture.standing import FOLDER, listed, moods

EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)


@EACH
def test_nothing_new_breaks_the_rule(rule: Rule) -> None:
    assert breaches(rule) - set(rule.reasons) - listed(rule.name) == set()


@EACH
def test_every_exception_is_still_needed(rule: Rule) -> None:
    assert set(rule.reasons) | listed(rule.name) <= breaches(rule)


@EACH
def test_the_check_sees_what_breaks_the_rule(rule: Rule) -> None:
    assert rule.check(rule.broken)


def test_every_list_belongs_to_a_rule() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} <= {rule.name for rule in RULES} | {"moods"}


def test_a_functions_docstring_begins_in_the_imperative() -> None:
    assert moods() == listed("moods")
