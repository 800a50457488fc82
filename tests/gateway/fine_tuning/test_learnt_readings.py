"""A fact that an earlier version of the gateway has read otherwise isn't stale for that."""

import pytest

from gateway.evaluation.values import TextValues
from gateway.fine_tuning.stale_facts import states_fact
from gateway.fine_tuning.tables import LearntFactRow


@pytest.mark.parametrize(
    ("kind", "text", "readings"),
    [
        ("code", "512KB", ["code:512kb"]),
        ("number", "5", ["number:5"]),
        ("quantity", "2 working weeks", ["quantity:2 week", "quantity:14 day"]),
        ("quantity", "24 months", ["quantity:24 month"]),
    ],
)
def test_a_fact_is_stated_whatever_it_was_read_as_when_it_was_learnt(kind: str, text: str, readings: list[str]) -> None:
    fact = LearntFactRow(kind=kind, text=text, readings=readings)
    assert states_fact(TextValues.of("Up to 512 KB, for 5 t, in 2 working weeks or in 2 years."), fact)
    assert not states_fact(TextValues.of("Up to 256 KB, for 6 t, in 3 working weeks or in 3 years."), fact)
