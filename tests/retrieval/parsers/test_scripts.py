import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, write_scripts


def mark(text: str) -> str:
    return text.replace("<", RAISED).replace("[", LOWERED).replace(">", LEVEL)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("49<1> euros", "49^1 euros"),
        ("10<-6>", "10^-6"),
        ("10<\u2212>< 6>", "10\u2212 6"),
        ("10<-><6>5", "10^-6 5"),
        ("49<1><2>", "49^1^2"),
        ("10[2><3>", "10_2^3"),
        ("2<(-6)>", "2^(-6)"),
        ("10[2>", "10_2"),
        ("log[10>2", "log10 2"),
        ("5<1>/[2>", "5 1/2"),
        ("5<1>\u2044[2>", "5 1\u20442"),
        ("the 1<st>, 5 m<2> and H[2>O", "the 1st, 5 m2 and H2O"),
        ("note <1>49", "note 1 49"),
        ("nothing", "nothing"),
        ("<>", ""),
    ],
)
def test_raised_and_lowered_digits_are_told_from_the_number_before(text: str, written: str) -> None:
    assert write_scripts(mark(text)) == written


numbers = st.integers(0, 999).map(str)


@given(
    st.lists(st.tuples(st.sampled_from("<["), st.sampled_from(("", "-", "+", "\u2212")), numbers, numbers), max_size=4)
)
def test_numbers_stay_apart_however_they_follow_each_other(parts: list[tuple[str, str, str, str]]) -> None:
    text = "7" + "".join(f"{script}{sign}{number}>{behind}" for script, sign, number, behind in parts)
    expected = ["7", *(number for _, _, *numbers in parts for number in numbers)]
    assert re.findall(r"\d+", write_scripts(mark(text))) == expected
