import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.number_formats import show_number


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("4155551234", "(000) 000-0000", "(415) 555-1234"),
        ("4155551234", "[<=9999999]###-####;(###) ###-####", "(415) 555-1234"),
        ("5551234", "[<=9999999]###-####;(###) ###-####", "555-1234"),
        ("123456789", "000-00-0000", "123-45-6789"),
        ("1234", "000-00-0000", "000-00-1234"),
        ("-1234", "0-000", "-1-234"),
        ("1015", '0000"."00', "0010.15"),
        ("5", '[>=100]"large";[<100]"small"', "small"),
        ("500", '[Red][>=100]"large";[<100]"small"', "large"),
        ("7", '[=1]"one";[=2]"two"', "7"),
        ("3", "[<>0]0.0;0", "3.0"),
        ("123456", "0.00E+00", "1.23E+05"),
        ("0.000123", "0.0E-000", "1.2E-004"),
    ],
)
def test_digits_stand_where_a_format_has_places_for_them(value: str, code: str, shown: str) -> None:
    assert show_number(value, code) == shown


GROUPS = st.lists(st.sampled_from(["0", "00", "000", "0000", "#", "##", "###"]), min_size=1, max_size=4)
SEPARATORS = st.sampled_from(["-", " ", ") ", '"·"', "\\/"])


@given(st.integers(0, 10**12), GROUPS, st.lists(SEPARATORS, min_size=4, max_size=4))
@settings(max_examples=60)
def test_no_digit_of_a_whole_number_is_lost_or_moved(number: int, groups: list[str], separators: list[str]) -> None:
    code = groups[0] + "".join(f"{mark}{group}" for mark, group in zip(separators, groups[1:], strict=False))
    shown = show_number(str(number), code)
    assert re.sub(r"\D", "", shown).lstrip("0") == str(number).lstrip("0")
