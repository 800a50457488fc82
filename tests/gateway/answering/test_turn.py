"""The kinds of turns. How often they are told right is `tests.bench.retrieval.turn_kinds`; here are what must hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answering.question import Message
from gateway.answering.turn import Turn, list_earlier, load_turn_classifier

CLASSIFIER = load_turn_classifier()
EARLIER = [Message("user", "How long is the warranty of the K2?"), Message("assistant", "31 months [1].")]
ASKED_BACK = [*EARLIER[:1], Message("assistant", "Do you mean the K2 or the K2 Pro?")]


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("Thanks a lot!", "small_talk", "words"),
        ("How are you?", "small_talk", "courtesy"),
        ("👍", "small_talk", "no_words"),
        ("Vielen Dank für die Hilfe", "small_talk", "words"),
        ("Merci beaucoup !", "small_talk", "words"),
        ("¡Muchas gracias!", "small_talk", "words"),
        ("ありがとうございました", "small_talk", "words"),
        ("非常感谢", "small_talk", "words"),
        ("And the K3?", "follow_up", "opening"),
        ("Why?", "follow_up", "short"),
        ("Since when?", "follow_up", "short"),
        ("How do I claim it?", "follow_up", "pointer"),
        ("Kann ich sie verlängern?", "follow_up", "pointer"),
        ("それはいくらですか？", "follow_up", "pointer"),
        ("Do you sell good kettles?", "question", "complete"),
        ("How do I descale the K2?", "question", "complete"),
        ("If the kettle leaks, who repairs it?", "question", "complete"),
        ("Können Sie mir den K3 zeigen?", "question", "complete"),
    ],
)
def test_a_turn_behind_others_is_told_by_its_rule(text: str, kind: str, rule: str) -> None:
    turn = CLASSIFIER.classify(text, EARLIER)
    assert (turn.kind, turn.rule) == (kind, rule)


@pytest.mark.parametrize("text", ["Is that OK?", "Thanks, and how do I descale it?", "Hello, my kettle leaks", "42"])
def test_a_question_is_never_small_talk(text: str) -> None:
    assert CLASSIFIER.classify(text, EARLIER).kind != "small_talk"
    assert CLASSIFIER.classify(text, []).kind != "small_talk"


def test_a_first_question_needs_no_history() -> None:
    assert CLASSIFIER.classify("How do I claim it?", []).rule == "first"
    assert CLASSIFIER.classify("How do I claim it?", [Message("assistant", "Welcome!")]).rule == "first"


@pytest.mark.parametrize("text", ["Yes", "ok", "ja, genau", "是的"])
def test_consent_answers_what_was_asked_back(text: str) -> None:
    assert CLASSIFIER.classify(text, ASKED_BACK).kind == "follow_up"
    assert CLASSIFIER.classify("ok", EARLIER).kind == "small_talk"


@pytest.mark.parametrize("text", ["はい", "はい。", "네"])
def test_a_word_that_is_talk_as_well_answers_what_was_asked_back(text: str) -> None:
    assert CLASSIFIER.classify(text, ASKED_BACK) == Turn("follow_up", "consent")
    assert CLASSIFIER.classify(text, EARLIER) == Turn("small_talk", "words")


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("是的。", "follow_up", "consent"),
        ("あと保証の期間を教えてください", "follow_up", "opening"),
        ("那么保修期是多长时间？", "follow_up", "opening"),
        ("ああああああそれは何年ですか", "follow_up", "pointer"),  # six characters stand before it
        ("あああああああそれは何年ですか", "question", "complete"),  # seven, among which it may be named
        ("保証は何年", "follow_up", "short"),
        ("保証は何年か", "question", "complete"),
        ("「保証」は「何年」？", "follow_up", "short"),  # five, and marks beside them
    ],
)
def test_a_turn_without_spaces_is_told_by_its_rule(text: str, kind: str, rule: str) -> None:
    turn = CLASSIFIER.classify(text, EARLIER)
    assert (turn.kind, turn.rule) == (kind, rule)


def test_a_long_text_is_no_small_talk_whatever_its_words() -> None:
    longest = "thanks " * 22 + "thanks"
    assert len(longest) == 160
    assert CLASSIFIER.classify(longest, EARLIER) == Turn("small_talk", "words")
    assert CLASSIFIER.classify(f"{longest}!", EARLIER).kind != "small_talk"


@pytest.mark.parametrize(
    ("text", "rule"),
    [("Hi! How are you?", "words"), ("Hello, how are you?", "courtesy"), ("How are you? How are you?", "courtesy")],
)
def test_small_talk_of_several_sentences_is_told_by_its_words(text: str, rule: str) -> None:
    assert CLASSIFIER.classify(text, EARLIER) == Turn("small_talk", rule)


def test_what_was_said_before_leaves_out_tools_and_instructions() -> None:
    messages = [
        Message("system", "Be brief."),
        *EARLIER,
        Message("tool", "31"),
        Message("user", "Why?"),
        Message("assistant", "Because."),
    ]
    assert list_earlier(messages) == EARLIER
    assert list_earlier([]) == []


@given(st.text(max_size=300), st.lists(st.text(max_size=60), max_size=3))
def test_any_text_has_a_kind(text: str, before: list[str]) -> None:
    assert CLASSIFIER.classify(text, [Message("user", one) for one in before]).rule


@given(st.from_regex(r"[bcdfgk]{4,8}", fullmatch=True))
def test_a_word_that_no_list_has_is_searched_for(word: str) -> None:
    for text in (word, f"thanks {word}", f"hello, {word}!"):
        assert CLASSIFIER.classify(text, EARLIER).kind != "small_talk"
