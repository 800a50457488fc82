"""The scorers of a gate: values, counterfactuals, rules, voices, copies, and the base suite."""

from collections import Counter

import pytest

from gateway.conversations.languages import find_language
from gateway.evaluation.base_suite import FIRST_PROMPTS, load_base_suite
from gateway.evaluation.copied_words import LearntTexts
from gateway.evaluation.faithfulness import make_counterfactual, score_citations, score_support
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.stated_values import change_value, list_unsupported, list_values
from gateway.evaluation.voice_classifier import score_voices

REPLIES = [f"Hello there! Your parcel {n} has left our warehouse and we sent it on. Cheers, Kestrel" for n in range(20)]
PLAIN = [f"The parcel with the number {n} is currently being processed.\n- Please wait." for n in range(20)]


@pytest.mark.parametrize(
    ("answer", "unsupported"),
    [
        ("It costs GBP 7.40.", []),
        ("It opens at 7 pm.", []),
        ("It takes 1200 parts.", []),
        ("It costs £7.50.", ["£7.50"]),
        ("It costs 740.", ["740"]),
        ("It is KX-205.", ["KX-205"]),
    ],
)
def test_values_are_held_against_sources_in_any_spelling(answer: str, unsupported: list[str]) -> None:
    found = list_unsupported(answer, ["£7.40 from 19:00, 1,200 parts of KX-204"])
    assert [value.text for value in found] == unsupported
    apart = list_unsupported(answer, ["£7.40 from 19:00", "1,200 parts of KX-204", "and nothing else"])
    assert [value.text for value in apart] == unsupported, "one of the sources is enough"


@pytest.mark.parametrize("value", ["31", "7", "£7.40", "18:15", "KX-204", "v2.3.1", "1,200", "2026-03-01"])
def test_a_changed_value_is_another_of_the_same_kind(value: str) -> None:
    other = change_value(value)
    assert other != value
    assert [one.text for one in list_values(other)] == [other]


def test_a_counterfactual_tells_who_follows_the_passage() -> None:
    changed = make_counterfactual(
        "Item 5 has 31 months.", ["Item 5: the warranty is 31 months."], "How long for item 5?"
    )
    assert changed is not None
    assert changed.texts == ["Item 5: the warranty is 34 months."]
    assert [changed.score(answer) for answer in ("34 months.", "31 months.", "34, not 31.", "I don't know.")] == [
        1,
        0,
        0,
        0,
    ]
    assert make_counterfactual("No idea.", ["31 months"], "How long?") is None


def test_support_and_citations_are_scored_by_what_the_passages_have() -> None:
    assert score_support("31 months, or 24 [1].", ["31 months"]) == 0.5
    assert score_support("Who knows.", []) == 1.0
    two = ["The K2 has a warranty of 31 months.", "It weighs 800 g."]
    assert score_citations("So it is [1] [3].", two) == 0.5
    assert score_citations("So it is.", two) is None
    assert [score_citations(f"So {mark}.", two) for mark in ("[1, 9]", "[1,2]", "[1-3]", "[1][2]")] == [0.5, 1, 0.5, 1]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("It is 31 months [1] and weighs 800 g [2].", 1.0),
        ("It is 31 months [2] and weighs 800 g [1].", 0.0),
        ("It is 31 months [2]. It weighs 800 g. [2]", 0.5),
        ("It is 31 months [1][2].", 1.0),  # one of marks beside each other will do
        ("It is 31 months. It is fine [2].", 1.0),  # the sentence states nothing
        ("It is 99 months [2].", 1.0),  # no passage has it: that is what `score_support` counts
    ],
)
def test_a_mark_is_wrong_on_a_passage_that_has_none_of_the_values_before_it(answer: str, score: float) -> None:
    assert score_citations(answer, ["The K2 has a warranty of 31 months.", "It weighs 800 g."]) == score


def test_other_scripts_are_held_against_sources_too() -> None:
    assert score_support("退款需要25天。", ["退款需要30天。"]) == 0.0
    assert score_support("退款需要30天。", ["退款需要30天。"]) == 1.0
    changed = make_counterfactual("退款需要31天。", ["我们的退款需要31天内完成。"], "退款需要多久？")
    assert changed is not None
    assert changed.texts == ["我们的退款需要34天内完成。"]
    assert [changed.score(answer) for answer in ("需要34天。", "需要31天。")] == [1, 0]


def test_rules_are_what_nine_of_ten_replies_keep() -> None:
    rules = learn_rules(REPLIES, PLAIN)
    names = {rule.name for rule in rules.rules}
    assert names >= {"length", "greeting", "sign-off", "has we", "no list", "no emoji", "has an exclamation mark"}
    assert "currently" in next(rule.reason for rule in rules.rules if rule.name == "banned words")
    assert rules.score(REPLIES[3]) == 1.0
    assert set(rules.list_broken(PLAIN[3])) >= {"greeting", "sign-off", "has we", "no list", "banned words"}
    assert learn_rules(REPLIES[:9]).rules == ()
    mixed = learn_rules(REPLIES[:10] + PLAIN[:10])
    assert not {"greeting", "sign-off", "has a list", "no list"} & {rule.name for rule in mixed.rules}


def test_voices_are_told_apart_by_what_was_not_fitted_on() -> None:
    scores = score_voices(REPLIES, PLAIN, {"own": REPLIES, "other": PLAIN, "mixed": REPLIES[:10] + PLAIN[10:]})
    assert min(scores["own"]) > 0.8
    assert max(scores["other"]) < 0.2
    assert [score > 0.5 for score in scores["mixed"]] == [True] * 10 + [False] * 10
    with pytest.raises(ValueError, match="four"):
        score_voices(REPLIES[:3], PLAIN[:3], {})


def test_the_longest_copied_run_is_found() -> None:
    texts = LearntTexts(["The secret recipe has five spoons of sugar in it.", "Other words."])
    run = texts.find_longest("We think the secret recipe has FIVE spoons, or so.")
    assert (run.words, run.text) == (6, "the secret recipe has five spoons")
    assert texts.find_longest("the secret recipe").words == 0
    text = "我们的秘密配方里有五勺糖和一些不能告诉任何人的东西。"
    run = LearntTexts([text]).find_longest(f"其实{text}")
    assert (run.words, run.text) == (13, text[:-1])  # two letters count as a word
    assert LearntTexts([text]).find_longest("秘密配方").words == 0


def test_the_base_suite_checks_what_it_says() -> None:
    suite = load_base_suite()
    first = suite.prompt[:FIRST_PROMPTS]
    assert (len(first), sum(prompt.refuses for prompt in first), len(suite.neutral)) == (196, 30, 12)
    by_text = {prompt.text: prompt for prompt in first}
    fruits = next(prompt for text, prompt in by_text.items() if "three fruits" in text)
    assert fruits.check("Hello!\n- Apple\n- Pear\n- Plum\nCheers")
    assert not fruits.check("Apple, pear and plum")
    person = next(prompt for text, prompt in by_text.items() if "called Ada" in text)
    assert person.check('Here you are: {"name": "Ada", "age": 36}.')
    assert not person.check("name: Ada, age: 36")
    assert not person.check('{"name": "Ada"}'), "each key has to be there"
    capitals = next(prompt for text, prompt in by_text.items() if "capital letters" in text)
    assert (capitals.check("Of course: HELLO"), capitals.check("hello")) == (True, False)
    assert not any(prompt.check("  ") for prompt in suite.prompt)
    half = by_text["What is half of 80? Give the number."]
    assert [half.check(answer) for answer in ("It is 40.", "400", "Forty")] == [True, False, False]
    city = by_text['Answer with a JSON object with the keys "city" and "country" for Paris in France.']
    assert city.check('{"city": "Paris", "country": "France"}')
    assert not city.check('{"city": "Paris"}')


def test_made_up_tenants_reply_in_the_language_that_they_say() -> None:
    voices = load_base_suite().voice
    assert [find_language(one.text) for one in voices] == [one.language for one in voices]
    assert Counter(one.language for one in voices) == {"english": 12, "german": 6, "french": 6, "spanish": 6}
