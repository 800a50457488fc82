"""Values that documents have changed: once per document, those that the adapter knows first."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.advice.measurements import ArmAnswer, RowAnswers
from gateway.advice.stale import list_changed_facts
from gateway.conversations.findings import RowFact
from gateway.evaluation.values import find_values
from gateway.fine_tuning.fact_schemas import StaleFact

MONTHS = RowFact(
    1, "quantity", "24 months", ("quantity:24 month",), "changed", "vs_1", "doc_1", "k2.md", version=3, stated=1
)
PRICE = replace(MONTHS, kind="money", text="£49", readings=("money:GBP 49",), key="prices.md")


def stale(**more: Any) -> StaleFact:
    values: dict[str, Any] = {"adapter": "ft:1", "fine_tuning_job_id": "ftjob-1", "kind": "quantity", "rows": [1]}
    values |= {"text": "24-month", "vector_store_id": "vs_1", "document_id": "doc_1", "document_key": "k2.md"}
    return StaleFact(**{**values, "learnt_version": 2, "version": 3, "state": "changed", **more})


def answers(*texts: str, facts: tuple[RowFact, ...] = (MONTHS, PRICE)) -> RowAnswers:
    names = ("base", "adapter", "adapter+facts")
    said = {name: ArmAnswer(text, 1, 1, 0.1, 1.0) for name, text in zip(names, texts, strict=False)}
    return RowAnswers(1, "?", "!", facts, 0, {}, said)


def test_a_value_is_there_once_per_document_with_the_rows_that_have_it() -> None:
    facts = {4: [MONTHS, PRICE], 7: [replace(MONTHS, text="two years")], 8: [replace(MONTHS, place="index")]}
    months, price = list_changed_facts(facts, (), (), ())
    assert (months.text, months.key, months.rows, months.stated, months.version) == ("24 months", "k2.md", [4, 7], 1, 3)
    assert (price.text, price.rows, price.learnt, price.recited) == ("£49", [4], False, 0)
    elsewhere = list_changed_facts({4: [MONTHS], 7: [replace(MONTHS, key="k3.md")]}, (), (), ())
    assert [(one.key, one.rows) for one in elsewhere] == [("k2.md", [4]), ("k3.md", [7])]


def test_what_the_adapter_has_learnt_comes_first_by_rows_or_by_its_jobs_record() -> None:
    facts = {4: [MONTHS], 7: [PRICE]}
    assert [(one.text, one.learnt) for one in list_changed_facts(facts, {7}, (), ())] == [
        ("£49", True),
        ("24 months", False),
    ]
    both = list_changed_facts({4: [MONTHS], 9: [MONTHS]}, {9}, (), ())
    assert [(one.rows, one.learnt) for one in both] == [([4, 9], True)]
    recorded = list_changed_facts(facts, (), [stale()], ())
    assert [(one.text, one.rows, one.learnt) for one in recorded] == [("24 months", [4], True), ("£49", [7], False)]


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("24 months", "24-month"),
        ("9 weeks", "9 weeks"),  # also 63 days
        ("2 Feb 2026", "2026-02-02"),  # which implies 2 February
        ("02/03/2026", "02/03/2026"),  # either day
        ("£49", "49 pounds"),
    ],
)
def test_a_value_of_rows_and_of_the_record_is_one_however_it_can_be_read(text: str, recorded: str) -> None:
    (value,) = find_values(text)
    fact = replace(MONTHS, kind=value.kind, text=text, readings=value.readings)
    (one,) = list_changed_facts({4: [fact]}, (), [stale(kind=value.kind, text=recorded)], ())
    assert (one.text, one.rows, one.learnt) == (text, [4], True)


def test_what_only_the_record_has_is_told_with_its_versions() -> None:
    known, gone = list_changed_facts({}, (), [stale(), stale(text="£9", kind="money", version=None)], ())
    assert (known.text, known.stated, known.version, known.rows) == ("24-month", 2, 3, [])
    assert (gone.text, gone.version, gone.learnt) == ("£9", 0, True)


def test_answers_of_the_adapter_that_state_a_former_value_are_counted() -> None:
    rows = [
        answers("24 months.", "It is 24 months, for 49 pounds.", "24-month"),
        answers("24 months.", "It is 36 months.", "I don't know."),
        answers("", "24 months", facts=(replace(MONTHS, place="index"),)),
        answers("24 months"),
    ]
    counted = list_changed_facts({1: [MONTHS, PRICE]}, (), (), rows)
    assert [(one.text, one.recited) for one in counted] == [("24 months", 2), ("£49", 1)]
    assert [one.text for one in list_changed_facts({1: [PRICE, MONTHS]}, (), (), rows)] == ["24 months", "£49"]
