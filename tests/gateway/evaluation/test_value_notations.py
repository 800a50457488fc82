"""A value in a reply is the same one in a passage, whatever notation it has there, and another one is another."""

import pytest

from gateway.evaluation.values import TextValues, find_values

NOTATIONS = [
    ("You pay {} once.", "₹450,000", "INR 450000", "INR 450001"),
    ("The fee is {}.", "CHF 45.50", "45.50 Swiss francs", "46.50 Swiss francs"),
    ("The price is {}.", "19.99 Canadian dollars", "CAD 19.99", "CAD 18.99"),
    ("You get {} back.", "3 000 HUF", "3,000 forints", "3,001 forints"),
    ("Frakten kostar {}.", "49 kr", "49 svenska kronor", "59 svenska kronor"),
    ("Cena to {}.", "129,99 zł", "129.99 PLN", "129.89 PLN"),
    ("It costs {}.", "250,- €", "EUR 250", "EUR 251"),
    ("It takes {}.", "16-19 business days", "between 16 and 19 business days", "between 16 and 20 business days"),
    ("Es dauert {}.", "3 bis 5 Werktage", "zwischen 3 und 5 Tagen", "zwischen 3 und 6 Tagen"),
    ("It starts {}.", "2026-02-18T07:30Z", "18 February 2026, 7:30 am", "18 February 2026, 7:40 am"),
    ("It starts {}.", "2026-03-04T18:45:30+02:00", "4 March 2026 at 18:45", "5 March 2026 at 18:45"),
    ("Wir öffnen um {}.", "7 Uhr 30", "7.30 Uhr", "7.45 Uhr"),
    ("It needs iOS {}", "17.2.", "iOS 17.2 or later", "iOS 17.3 or later"),
    ("Wir schließen am {}", "17.2.", "17. Februar", "18. Februar"),
    (
        "See {} for more.",
        "kestrel.example/help/396",
        "www.kestrel.example/help/396",
        "kestrel.example/help/397",
    ),
    ("See {} now.", "docs.kestrel.com/a?id=7", "https://docs.kestrel.com/a?id=7", "https://docs.kestrel.com/a?id=8"),
    ("Visit {}.", "kestrel.de", "www.kestrel.de", "www.kestrel.fr"),
    ("Write to Ann <{}>.", "ann@kestrel.example", "ANN@kestrel.example", "ann@kestrel.com"),
    ("Order filter {} today.", "hx562c", "HX562C", "HX563C"),
    ("Order {} left.", "#40021", "order 40021", "order 40022"),
    ("Order {} left.", "40021", "order #40021", "order #40022"),
    ("Call {}.", "+44 20 7946 0958", "+442079460958", "+442079460959"),
]


@pytest.mark.parametrize(("reply", "value", "same", "other"), NOTATIONS)
def test_a_value_is_known_in_another_notation(reply: str, value: str, same: str, other: str) -> None:
    text = reply.format(value)
    found = find_values(text)
    assert found
    assert all(TextValues.of(same).states(one) for one in found), (found, TextValues.of(same).readings)
    assert not all(TextValues.of(other).states(one) for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "Done.It works and/or not.",
        "He said so.De facto it ends.",
        "Please see e.g./below.",
        "Use node.js and vue.js.",
        "See readme.md, please.",
        "Players of mp3 and 4k, for b2b too.",
        "Section 4.2 says so.",
        "Step 3 of 5 is next.",
    ],
)
def test_what_only_looks_like_a_value_is_none(text: str) -> None:
    assert find_values(text) == []
