"""Other values in the form of those that they stand for."""

import random
import re

import pytest

from gateway.conversations.value_forms import draw_value, rewrite_value
from gateway.evaluation.values import find_values


@pytest.mark.parametrize(
    ("reading", "form"),
    [
        ("money:GBP 1000", r"money:GBP [1-9]\d{3}"),
        ("money:GBP 7.45", r"money:GBP [2-9]\.\d[1-9]"),
        ("quantity:24 month", r"quantity:[1-9]\d month"),
        ("number:7", r"number:[2-9]"),
        ("quantity:-18 celsius", r"quantity:-[1-9]\d celsius"),
        ("date:2026-02-02", r"date:2026-02-(0[1-9]|1\d|2[0-8])"),
        ("date:--02-14", r"date:--02-(0[1-9]|1\d|2[0-8])"),
        ("time:18:15", r"time:18:[0-5]\d"),
        ("version:2.4.1", r"version:2\.4\.[2-9]"),
        ("version:12", r"version:[1-9]\d"),
        ("code:kx-204", r"code:[a-z]{2}-\d{3}"),
        ("phone:+442079460018", r"phone:\+44207946\d{4}"),
        ("e-mail:anna@b.example", r"e-mail:[a-z]{4}@b\.example"),
        ("url:x.example/a1", r"url:x\.example/[a-z]\d"),
    ],
)
def test_another_value_has_the_kind_the_unit_and_the_length_of_the_first(reading: str, form: str) -> None:
    drawn = {draw_value(reading, random.Random(seed)) for seed in range(40)}
    assert None not in drawn
    assert all(re.fullmatch(form, one) for one in drawn if one), drawn
    assert len(drawn) > 5


@pytest.mark.parametrize(
    "reading", ["quantity:3-5 day", "date:2026-02", "url:x.example", "url:x.example/a?b=1", "version:2.x", "other:1"]
)
def test_what_has_no_other_value_of_its_form_is_not_varied(reading: str) -> None:
    assert draw_value(reading, random.Random(1)) is None


@pytest.mark.parametrize(
    ("spelled", "reading", "other", "rewritten"),
    [
        ("£1,000", "money:GBP 1000", "money:GBP 2345", "£2,345"),
        ("1.000,00 €", "money:EUR 1000", "money:EUR 2345", "2.345,00 €"),
        ("CHF 1'250.50", "money:CHF 1250.5", "money:CHF 9876.1", "CHF 9'876.10"),
        ("£7.4", "money:GBP 7.4", "money:GBP 3.5", "£3.5"),
        ("£7,40", "money:GBP 7.4", "money:GBP 3.5", "£3,50"),
        ("1000 pounds", "money:GBP 1000", "money:GBP 2345", "2345 pounds"),
        ("24-month", "quantity:24 month", "quantity:31 month", "31-month"),
        ("−18 °C", "quantity:-18 celsius", "quantity:-25 celsius", "−25 °C"),
        *((text, "quantity:1.5 hour", "quantity:2.5 hour", None) for text in ("1½ hours", "1 1/2 hours")),
        ("2⅔ kg", "quantity:2.6667 kilogram", "quantity:3.1234 kilogram", None),
        ("twenty-four months", "quantity:24 month", "quantity:31 month", None),
        ("3-5 days", "quantity:3-5 day", "quantity:4 day", None),
        ("2 Feb 2026", "date:2026-02-02", "date:2026-02-17", "17 Feb 2026"),
        ("02.02.2026", "date:2026-02-02", "date:2026-02-07", "07.02.2026"),
        ("2026-02-02", "date:2026-02-02", "date:2026-02-17", "2026-02-17"),
        ("Feb 2, 2026", "date:2026-02-02", "date:2026-02-17", "Feb 17, 2026"),
        ("2nd February", "date:--02-02", "date:--02-17", None),
        ("02/03/2026", "date:2026-03-02", "date:2026-03-17", None),
        ("6:15 pm", "time:18:15", "time:18:40", "6:40 pm"),
        ("18.15 Uhr", "time:18:15", "time:18:40", "18.40 Uhr"),
        ("9am", "time:09:00", "time:09:40", None),
        ("v2.4.1", "version:2.4.1", "version:2.4.7", "v2.4.7"),
        ("KX-204", "code:kx-204", "code:ab-917", "AB-917"),
        ("#48213", "code:48213", "code:90417", "#90417"),
        ("+44 (20) 7946-0018", "phone:+442079460018", "phone:+442079461234", "+44 (20) 7946-1234"),
        ("Anna@B.example", "e-mail:anna@b.example", "e-mail:bert@b.example", "Bert@B.example"),
        ("https://x.example/a1/", "url:x.example/a1", "url:x.example/b2", "https://x.example/b2/"),
    ],
)
def test_another_value_is_written_as_the_first_was(
    spelled: str, reading: str, other: str, rewritten: str | None
) -> None:
    (value,) = find_values(f"It is {spelled} now")
    assert value.text == spelled
    assert reading in value.readings
    assert rewrite_value(value, reading, other) == rewritten
    if rewritten is not None:
        (again,) = find_values(f"It is {rewritten} now")
        assert other in again.readings
