"""Names in questions, and the passages that have them as a whole."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.question_names import find_missing, match_other_numbers, read_names

_ENGLISH = "The kettle has a warranty of two years, and this is what it costs."
_GERMAN = "Die Garantie für den Kessel gilt nicht, wenn er ohne das Sieb benutzt wird."
_NAMES = st.sampled_from(["K2", "T50", "Nest", "X-1"])
_EDITIONS = st.sampled_from(["Pro", "Max", "Mini"])
_TEXTS = st.lists(
    st.sampled_from(["K2", "Pro", "Max", "Nest", "T5", "the", "die", "sys.path", ",", "/", ".", "\n", "A_B", "日本"]),
    max_size=12,
).map(" ".join)


def read(question: str, *passages: str) -> list[str]:
    return [name.text for name in read_names(question, passages or [_ENGLISH])]


def list_missing(question: str, passage: str) -> list[str]:
    (names,) = find_missing(read_names(question, [passage]), [passage])
    return [name.text for name in names]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does the K2 Pro cost?", ["K2", "Pro"]),
        ("When does the train from Aldermoor leave? What is it?", ["Aldermoor"]),
        ("My program stops with error 14. What is wrong?", ["14"]),
        ("Is a read-only file of sys.path in SQLITE_BUSY or DOS/VMS?", ["sys.path", "SQLITE_BUSY", "DOS", "VMS"]),
        ("Does it take I or A?", []),
        ("Когда уходит паром в Териберку?", ["Териберку"]),
    ],
)
def test_names_are_told_by_how_they_are_written(question: str, names: list[str]) -> None:
    assert read(question) == names


def test_where_every_noun_has_a_capital_it_tells_no_name() -> None:
    assert read("Wie lange gilt die Garantie für den Kessel K2?") == ["K2"]
    assert read("Garantie Kessel K2", _GERMAN) == ["K2"]
    assert read("warranty Kestrel K2", _ENGLISH) == ["Kestrel", "K2"]


def test_those_of_a_list_count_as_one() -> None:
    names = read_names("Is it for BSD, Linux/Hurd or the K2 Pro?", [_ENGLISH])
    assert [(name.text, name.share) for name in names] == [
        *((text, pytest.approx(1 / 3)) for text in ("BSD", "Linux", "Hurd")),
        ("K2", 1),
        ("Pro", 1),
    ]


@pytest.mark.parametrize(
    ("question", "passage", "names"),
    [
        ("What does the K2 cost?", "K2 Pro manual\nIt costs 49 euros.", ["K2"]),
        ("What does the K2 cost?", "The K2 Pro costs more than the K2.", []),
        ("What does the K2 Pro cost?", "K2 manual\nIt costs 49 euros, the T5 Pro more.", ["Pro"]),
        ("What does the K2 Pro cost?", "The K5 Pro costs 49 euros.", ["K2"]),
        ("What does the K2 Pro cost?", "The K2 Pro Max costs 49 euros.", ["Pro"]),
        ("What does the Kestrel K2 cost?", "The K2 costs 49 euros.", ["Kestrel"]),
        ("What does the K2 cost?", "K2 User Manual\nRead this manual as a user.", []),
        ("What is in Python?", "Python 3.11 has it.", []),
        ("What is error 404?", "404 NOT_FOUND: there is no such page.", []),
    ],
)
def test_a_name_is_not_found_in_a_longer_one_nor_the_other_way_round(
    question: str, passage: str, names: list[str]
) -> None:
    assert list_missing(question, passage) == names


@given(_NAMES, _EDITIONS, _TEXTS)
def test_a_longer_name_beside_never_adds_a_shorter_one(name: str, edition: str, text: str) -> None:
    question = f"What does the {name} cost?"
    assert set(list_missing(question, text)) <= set(list_missing(question, f"{text}\n{name} {edition}\n"))


@given(_NAMES, _TEXTS)
def test_a_passage_that_says_the_name_alone_has_it(name: str, text: str) -> None:
    assert not list_missing(f"What does the {name} cost?", f"{text}\n{name}.")


@given(_TEXTS, st.lists(_TEXTS, max_size=3))
def test_any_text_can_be_asked(question: str, passages: list[str]) -> None:
    names = read_names(question, passages)
    assert [set(one) <= set(names) for one in find_missing(names, passages)] == [True] * len(passages)
    assert all(0 < name.share <= 1 for name in names)


@pytest.mark.parametrize(
    ("question", "replaced"),
    [
        ("How long is the warranty of the K77?", True),
        ("How long is the warranty of the k77?", True),
        ("How long is the warranty of the K3?", False),
        ("What do the K3 and the K77 cost?", True),
        ("How long is the warranty of the Falcon F1?", False),
        ("What does the K3-b cost?", False),
        ("What did it cost in 2024, for 5 people?", False),
        ("Does it run on Windows 11?", False),
        ("What about the 日本?", False),
        ("Can I upload a 50MB file?", False),
        ("Is there a 14-day trial, and a 5th seat?", False),
        ("Are you open at 8pm?", False),
        ("Does it work with OAuth2?", False),
        ("Is a USB-4 cable in the box?", False),
        ("Is UTF16 read?", True),
    ],
)
def test_a_name_with_another_number_in_its_place_is_told(question: str, replaced: bool) -> None:
    passages = [
        "Kestrel K3\nThe warranty of the Kestrel K3 is 9 months, and 10 of 2023.",
        "Kestrel K30\nWindows 10.",
        "Files have at most 100MB. Try it for 30-day terms until 10pm; the 20th seat is free.",
        "Sign in by OAuth 2.0, and not by OAuth1. There is a USB 4 cable and a USB-3 one. We read UTF8.",
    ]
    names = read_names(question, passages)
    assert match_other_numbers(names, find_missing(names, passages), passages) is replaced


def test_names_without_an_end_are_not_looked_for_by_their_numbers() -> None:
    passages = ["aB1" * 30_000]
    names = read_names("aB2" * 30_000, passages)
    missing = find_missing(names, passages)
    start = time.process_time()
    assert not match_other_numbers(names, missing, passages)
    assert time.process_time() - start < 0.2


def test_a_name_that_only_stands_in_longer_ones_is_replaced_by_nothing() -> None:
    passages = ["The K2 Pro costs 49 euros."]
    names = read_names("What does the K2 cost?", passages)
    assert list_missing("What does the K2 cost?", passages[0]) == ["K2"]
    assert not match_other_numbers(names, find_missing(names, passages), passages)


@given(_TEXTS, st.lists(_TEXTS, max_size=3))
def test_what_a_passage_has_is_replaced_by_nothing(question: str, passages: list[str]) -> None:
    names = read_names(question, passages)
    missing = find_missing(names, passages)
    if any(not one for one in missing):
        assert not match_other_numbers(names, missing, passages)
