"""A rate is a value of its own, and no plain amount; an amount is read with its multiplier and its unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.values import TextValues, find_values
from tests.processor_time import measure

ABOVE = {"km": "length", "€": "", "GB": "data", "l": "volume", "kg": "mass", "%": "share"}
LOOSE = ("Monat", "user", "Stück")
"""People leave these out where they are clear."""
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
    assert TextValues.of(rate).states(amount) is (below in LOOSE)


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


SAME = """
$3 a kilo|$3 per kilo
12 € die Stunde|12 € pro Stunde
12 € das Stück|12 € je Stück
5 € la nuit|5 € par nuit
5 € de l'heure|5 € par heure
5 € el kilo|5 € por kilo
5 € im Quartal|5 € pro Quartal
$5 a quarter|$5 quarterly
$2 apiece|$2 per piece
9,99 € p.M.|9,99 € im Monat
4 € p.P.|4 € pro Person
3 Tage die Woche|3 Tage pro Woche
5 l auf 100 km|5 l/100 km
100 Mb/s|100 Mbps
30 € por noche y por persona|30 € pro Nacht und Person
$30 a year for each user|$30 per user per year
$5 per user, per month|$5 per user per month
Each order costs €5|€5 per order
The day rate is $100|$100 per day
Die Monatsgebühr ist 5 €|5 € pro Monat
25 days of annual leave|25 days per year
The annual interest is 5 %|5 % per year
Per month it costs new customers who order with us until then €9|€9 per month
5 bn euros|€5bn
25 Grad am Tag|25 Grad
12-month annual plan|12 months
30 € am Tag der Lieferung|30 €
30 € im Monat Mai|30 €
5 € la semaine dernière|5 €
5 GB / 100 GB are used|5 GB of 100 GB are used
""".strip().splitlines()


@pytest.mark.parametrize("pair", SAME)
def test_what_is_said_in_other_words_is_the_same_rate_in_either_direction(pair: str) -> None:
    one, other = pair.split("|")
    assert find_values(one)
    assert all(TextValues.of(other).states(value) for value in find_values(one))
    assert all(TextValues.of(one).states(value) for value in find_values(other))


@pytest.mark.parametrize(
    ("evidence", "reply", "stated"),
    [
        ("€5 per month", "It costs €5", True),  # who asked for it knows
        ("25 days per year", "You have 25 days", True),
        ("3 €/kg", "It costs 3 €", False),
        ("3 €/kg", "Per kilo it costs our customers in all of these countries 3 €", True),
        ("€9 per month", "| Plan | Price per month |\n| Pro | €9 |", True),
        ("€9 per month", "| Plan | Price per year |\n| Pro | €9 |", False),
        ("€9 per month", "The yearly fee is €9", False),
        ("Plans cost €5, €9 and Pro €19 per month.", "€9 per month", True),
        ("€5–10 per month", "€5 per month", True),
        ("Setup is €5 and Pro €19 per month.", "€5 per year", False),
        ("€5 for setup and €19 per month", "€5 per month", False),
        ("5 kg and €19 per month", "5 kg per month", False),
    ],
)
def test_a_rate_may_be_said_in_parts_of_a_sentence_or_a_table(evidence: str, reply: str, stated: bool) -> None:
    assert TextValues.of(evidence).states(find_values(reply)[0]) is stated


@pytest.mark.parametrize("reply", ["30 miles per gallon", "5 W/m²", "5 km a day", "60 mph"])
def test_a_rate_whose_bare_number_stands_in_a_text_is_none_of_it(reply: str) -> None:
    (value,) = find_values(reply)
    assert not TextValues.of(f"There are {value.text.split()[0]} of them.").states(value)


def test_tables_of_many_prices_are_read_in_a_time_that_grows_with_their_size() -> None:
    def read(rows: int) -> float:
        text = "| per month | €5 |\n" * rows
        return measure(lambda: find_values(text))

    assert read(4000) < 10 * read(1000)
