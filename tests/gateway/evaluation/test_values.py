import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.values import Evidence, find_values


@pytest.mark.parametrize(
    ("spellings", "reading"),
    [
        (("£7.40", "GBP 7.4", "7.40 pounds", "£ 7.4"), "money:GBP 7.4"),
        (("1,000 euros", "1.000 €", "€1000", "EUR 1000.00", "1.000,00 €"), "money:EUR 1000"),
        (("£1.5m", "1.5 million pounds", "£1,500,000"), "money:GBP 1500000"),
        (("50p", "£0.50"), "money:GBP 0.5"),
        (("2 Feb 2026", "2026-02-02", "February 2nd, 2026", "2. Februar 2026", "02.02.2026"), "date:2026-02-02"),
        (("6:15 pm", "18:15", "6.15pm", "18.15 Uhr"), "time:18:15"),
        (("9am", "9 o'clock", "9 Uhr", "09:00"), "time:09:00"),
        (("24 months", "24-month", "twenty-four months", "2 years", "two-year"), "quantity:24 month"),
        (("3-5 business days", "3 to 5 days", "3\u20135 working days"), "quantity:3-5 day"),
        (("50%", "50 percent", "50 per cent"), "quantity:50 percent"),
        (("v2.4.1", "version 2.4.1", "2.4.1"), "version:2.4.1"),
        (("#48213",), "code:48213"),
        (("ERR-1042", "SAVE20"), None),
        (("https://www.x.example/a/", "http://x.example/a"), "url:x.example/a"),
        (("a@b.example", "A@B.example"), "e-mail:a@b.example"),
        (("+44 20 7946 0018", "+44 (20) 7946-0018"), "phone:+442079460018"),
        (("1,000", "1000", "1'000"), "number:1000"),
    ],
)
def test_values_have_one_spelling(spellings: tuple[str, ...], reading: str | None) -> None:
    for spelled in spellings:
        (value,) = find_values(f"It is {spelled}, we say.")
        assert value.text == spelled.removeprefix("version ")
        assert reading is None or reading in value.readings


def test_a_date_that_can_be_read_in_two_ways_has_both_readings() -> None:
    (value,) = find_values("on 02/03/2026")
    assert value.readings == ("date:2026-03-02", "date:2026-02-03")


@pytest.mark.parametrize(
    ("evidence", "reply", "stated"),
    [
        ("It is 2 Feb 2026.", "2 February", True),
        ("It is 2 February.", "2 Feb 2026", False),
        ("It is 2 Feb 2025.", "2 Feb 2026", False),
        ("| warranty (months) | 24 |", "24 months", True),
        ("| price (GBP) | 49 |", "£49", True),
        ("| price (GBP) | 49 |", "€49", False),
        ("24 weeks", "24 months", False),
        ("It has 24 months.", "24", True),
        ("310 and 3.1", "31", False),
    ],
)
def test_evidence_states_what_it_implies(evidence: str, reply: str, stated: bool) -> None:
    (value,) = find_values(f"It is {reply}")
    assert Evidence.of(evidence).states(value) is stated


@given(st.text(max_size=200) | st.text("0123456789.,:/-£€% apmvJan", max_size=60))
def test_values_are_apart_stand_in_their_text_and_are_stated_by_it(text: str) -> None:
    values = find_values(text)
    ends = [0, *(value.end for value in values)]
    assert all(end <= value.start for end, value in zip(ends, values, strict=False))
    assert all(text[value.start : value.end] == value.text and value.readings for value in values)
    evidence = Evidence.of(text)
    assert all(evidence.states(value) for value in values)


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("£1.5 million", "money:GBP 1500000"),
        ("1.5k euros", "money:EUR 1500"),
        ("20 cents", "money:EUR 0.2"),
        ("2 feb 2026", "date:2026-02-02"),
        ("february 2nd, 2026", "date:2026-02-02"),
        ("6:15 pm", "time:18:15"),
        ("9 o'clock", "time:09:00"),
        ("24 months", "quantity:24 month"),
        ("twenty-four months", "quantity:24 month"),
        ("three to five working days", "quantity:3-5 day"),
        ("50 percent", "quantity:50 percent"),
        ("v2.4.1", "version:2.4.1"),
        ("https://www.x.example/a", "url:x.example/a"),
        ("a@b.example", "e-mail:a@b.example"),
    ],
)
def test_capitals_do_not_change_what_a_value_means(value: str, reading: str) -> None:
    for spelled in (value, value.upper(), value.title()):
        (found,) = find_values(f"It is {spelled}.")
        assert reading in found.readings, spelled


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("£1.55m", "money:GBP 1550000"),
        ("£12.3456 thousand", "money:GBP 12345.6"),
        ("1.2345k euros", "money:EUR 1234.5"),
        ("$3 billion", "money:USD 3000000000"),
        ("CHF 1'250.50", "money:CHF 1250.5"),
        ("two weeks", "quantity:14 day"),
        ("1-2 years", "quantity:12-24 month"),
        ("1.5 years", "quantity:1.5 year"),
        ("thirty-six months", "quantity:36 month"),
        ("20 cents", "money:USD 0.2"),
    ],
)
def test_amounts_are_read_with_their_scale_and_in_smaller_units(value: str, reading: str) -> None:
    (found,) = find_values(f"It is {value}, we say.")
    assert found.text == value
    assert reading in found.readings


@pytest.mark.parametrize("evidence", ["on 2 March 2026", "on 3 February 2026"])
def test_a_date_that_can_be_read_in_two_ways_is_stated_by_either(evidence: str) -> None:
    (value,) = find_values("on 02/03/2026")
    assert Evidence.of(evidence).states(value)
    assert not Evidence.of("on 4 March 2026").states(value)


@pytest.mark.parametrize("text", ["one day soon", "1. First", "see step 3", "as in [2]", "24/7", "the 3rd time", "#1"])
def test_numbers_that_say_nothing_are_no_values(text: str) -> None:
    assert find_values(text) == []
