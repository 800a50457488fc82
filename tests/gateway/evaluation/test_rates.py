"""A rate is a value of its own, and no plain amount; an amount is read with its multiplier and its unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.values import TextValues, find_values

ABOVE = {"km": "length", "€": "", "GB": "data", "l": "volume", "kg": "mass", "%": "share"}
BELOW = {"h": "hour", "min": "minute", "Monat": "month", "user": "seat", "Stück": "item", "kWh": "energy"}


@given(st.integers(2, 999), st.sampled_from(sorted(ABOVE)), st.sampled_from(sorted(BELOW)))
def test_a_rate_is_no_plain_amount_and_no_rate_of_something_else(number: int, above: str, below: str) -> None:
    rate, plain = f"It is {number} {above}/{below}.", f"It is {number} {above}."
    others = [f"It is {number} {above}/{other}." for other in BELOW if other != below]
    (value,) = find_values(rate)
    assert value.text == f"{number} {above}/{below}"
    assert TextValues.of(f"So {number} {above} per {below}, they say.").states(value)
    assert not any(TextValues.of(text).states(value) for text in (plain, *others))
    (amount,) = find_values(plain)
    assert not TextValues.of(rate).states(amount)


@pytest.mark.parametrize(
    ("evidence", "reply", "stated"),
    [
        ("It runs 50 km/h.", "50 km per hour", True),
        ("It runs 36 km/h.", "10 m/s", True),
        ("It runs 50 km/h.", "50 km", False),
        ("It runs 50 km.", "50 km/h", False),
        ("It needs 2 l/100 km.", "2 litres per 100 km", True),
        ("It needs 2 l/100 km.", "2 l/km", False),
        ("It needs 2 l/100 km.", "2 l", False),
        ("It needs 2 l/100 km.", "100 km", False),
        ("3 €/kg", "€3 per kilo", True),
        ("3 €/kg", "3 €/100 g", False),
        ("$5 per user per month", "$5/month/user", True),
        ("$5 per user per month", "$5 per user", False),
        ("9,99 € im Monat", "9.99 € monatlich", True),
        ("9,99 € im Monat", "9,99 € pro Jahr", False),
        ("Es kostete 30 € im Jahr 2026.", "30 €", True),
        ("The monthly fee is $5.", "$5 per month", True),
        ("$5 per month", "$5 a month", True),
        ("He paid $5 a month ago.", "$5", True),
        ("50 € per PayPal", "50 €", True),
        ("$5 per our policy", "$5", True),
        ("| price per month | €5 |", "€5/month", True),
        ("| price per month | €5 |", "€5/year", False),
        ("| speed (km/h) | 50 |", "50 km/h", True),
        ("Setup €5, then €9 per month.", "€5 per month", False),
        ("10 Mbit/s", "10 Mbps", True),
        ("10 MB/s", "10 Mbps", False),
        ("10 Mb", "10 MB", False),
        ("10 Mb", "10 Mb", True),
        ("10 mb", "10 MB", True),
        ("1 Gbit", "1000 Mbit", True),
        ("5 million km", "5,000,000 km", True),
        ("5 million km", "5 km", False),
        ("1.2k users", "1200 users", True),
        ("€1.2bn", "1.2 billion euros", True),
        ("3 miles", "3000", False),
        ("10 inches", "25.4 cm", True),
        ("6 ft", "72 inches", True),
        ("1 lb", "16 oz", True),
        ("8 fl oz", "8 oz", False),
        ("5 lb", "£5", False),
        ("98.6 °F", "37 °C", True),
        ("-40 °F", "-40 °C", True),
        ("98 °F", "98 °C", False),
        ("60 mph", "60 miles per hour", True),
        ("60 mph", "60 miles", False),
        ("500 W", "0.5 kWh", False),
        ("3 kWh", "3000 Wh", True),
        ("3 m²", "3 m", False),
        ("8 hours per working day", "480 minutes per day", False),
    ],
)
def test_evidence_states_a_rate_or_an_amount_in_its_own_meaning(evidence: str, reply: str, stated: bool) -> None:
    value = find_values(f"It is {reply}.")[0]
    assert value.text in reply
    assert TextValues.of(evidence).states(value) is stated


@pytest.mark.parametrize("text", ["10 kg / 22 lb", "5 km/10 km", "1 h 30 min", "$5 and $9", "2 years / 24 months"])
def test_amounts_beside_each_other_are_no_rate(text: str) -> None:
    assert find_values(text)
    assert not any("/" in value.text for value in find_values(text))
