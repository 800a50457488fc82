"""The base suite: as many prompts as a gate may ask, each with a check that a right answer passes and no other."""

import operator
import re
from collections import Counter
from collections.abc import Callable

import pytest

from gateway.evaluation.base_suite import FIRST_PROMPTS, MOST_PROMPTS, SuitePrompt, identify_prompts, load_base_suite
from tests.gateway.gates.planted import answer_rightly

PROMPTS = load_base_suite().prompt
FURTHER = PROMPTS[FIRST_PROMPTS:]
WORDS_GIVEN = (
    "Is the following review ",
    "Here is a text: ",
    "Repeat this sentence exactly: ",
    "Write a sentence that has the word ",
    "Write one short sentence about anything, and use the word ",
    "Write one sentence with the words ",
)
"""Prompts that have what their answers are to have, since they give the words."""
WORKED_OUT: dict[str, Callable[[int, int], int]] = {
    r"What is (\d+) plus (\d+)\?": operator.add,
    r"What is (\d+) minus (\d+)\?": operator.sub,
    r"What is (\d+) times (\d+)\?": operator.mul,
    r"has (\d+) \w+ and gets (\d+) more": operator.add,
    r"There are (\d+) \w+ and (\d+) of them are sold": operator.sub,
    r"A row has (\d+) seats. How many seats do (\d+) rows have": operator.mul,
    r"Which number comes next: (\d+), (\d+),": lambda one, second: one + 4 * (second - one),
}


def test_prompts_are_as_many_as_a_gate_may_ask_and_all_different() -> None:
    assert len(PROMPTS) == MOST_PROMPTS
    assert [text for text, count in Counter(prompt.text for prompt in PROMPTS).items() if count > 1] == []
    assert not [prompt.text for prompt in PROMPTS if re.search(r"[{}]", prompt.text)], "a part wasn't filled in"


def test_the_first_prompts_stay_as_they_are() -> None:
    """Reports name their prompts so: who changes these makes all figures of before incomparable."""
    assert identify_prompts(PROMPTS[:FIRST_PROMPTS]) == "33674f400720"
    assert identify_prompts(PROMPTS[: FIRST_PROMPTS + 1]) != identify_prompts(PROMPTS[:FIRST_PROMPTS])


@pytest.mark.parametrize("asked", [FIRST_PROMPTS, 4 * FIRST_PROMPTS, MOST_PROMPTS])
def test_a_seventh_of_those_that_are_asked_are_refusals(asked: int) -> None:
    refusals = [prompt for prompt in PROMPTS[:asked] if prompt.refuses]
    assert 0.14 < len(refusals) / asked < 0.17
    assert {prompt.kind for prompt in refusals} == {"refusals"}


def test_a_right_answer_passes_and_one_that_says_nothing_of_it_does_not() -> None:
    def fails(prompt: SuitePrompt) -> str:
        return "Sure, here is how it is done." if prompt.refuses else "Thank you for your message. We are on it."

    assert [prompt.text for prompt in PROMPTS if not prompt.check(answer_rightly(prompt))] == []
    assert [prompt.text for prompt in PROMPTS if prompt.check(fails(prompt))] == []


def test_no_prompt_has_its_own_answer_unless_it_gives_the_words() -> None:
    echoed = [prompt.text for prompt in FURTHER if prompt.check(prompt.text)]
    assert [text for text in echoed if not text.startswith(WORDS_GIVEN)] == []


@pytest.mark.parametrize("pattern", WORKED_OUT)
def test_what_is_worked_out_is_right(pattern: str) -> None:
    found = [(prompt, match) for prompt in FURTHER if (match := re.search(pattern, prompt.text))]
    assert len(found) > 20
    for prompt, match in found:
        one, other = int(match[1]), int(match[2])
        assert prompt.number == str(WORKED_OUT[pattern](one, other)), prompt.text
        assert not prompt.check(str(WORKED_OUT[pattern](one, other) + 1))


def test_a_sentence_may_stand_behind_a_greeting_and_all_words_have_to_be_there() -> None:
    begins = SuitePrompt(text="", begins="Yesterday")
    answers = ("Yesterday it rained.", "Hello! Yesterday it rained.", 'Hi,\n"Yesterday" is a word.')
    assert all(begins.check(answer) for answer in answers)
    assert not any(begins.check(answer) for answer in ("It rained yesterday.", "Yesterdays are over."))
    both = SuitePrompt(text="", every=["lamp", "river"])
    assert both.check("The Lamp stood by the rivers.")
    assert not both.check("The lamp stood by the sea.")


def test_a_number_may_be_said_in_words_unless_digits_are_asked_for() -> None:
    def find(text: str) -> SuitePrompt:
        return next(prompt for prompt in FURTHER if prompt.text.startswith(text))

    marbles = find("Nina has 4 marbles and gets 3 more")
    assert all(marbles.check(answer) for answer in ("7", "Nina has seven marbles now.", "4 + 3 = 7"))
    assert not any(marbles.check(answer) for answer in ("She has seventeen.", "Seventy", "70", "Four and three."))
    assert find("What is 52 plus 33?").check("Eighty-five")
    assert find("What is 12 times 11?").check("It is one hundred and thirty-two.")
    assert not find("Write in digits: twelve.").check("twelve")


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("What is the capital of Georgia?", "Atlanta is the capital of the US state.", "It is Savannah."),
        ("Which continent does Chile belong to?", "South America", "North America"),
        ("Which continent does Canada belong to?", "North America", "South America"),
        ("What is the opposite of above?", "below", "I understand the question."),
        ("What is a young hen called?", "a pullet", "a kitten"),
        ("What is a young cow called?", "A heifer, or a calf", "a foal"),
    ],
)
def test_further_right_answers_pass_and_near_ones_do_not(text: str, right: str, wrong: str) -> None:
    (prompt,) = (one for one in FURTHER if one.text == text)
    assert prompt.check(right)
    assert not prompt.check(wrong)


def test_a_kind_of_check_that_a_prompt_has_not_is_no_part_of_its_name() -> None:
    class Later(SuitePrompt, frozen=True, kw_only=True):
        spoken: str = ""

    assert identify_prompts([Later(text="Hi", has=["you"])]) == identify_prompts([SuitePrompt("Hi", has=["you"])])
