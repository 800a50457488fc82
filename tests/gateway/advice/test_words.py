"""The sentences of an advice, each by the figures that call for it."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.advice.arms import Arm, Style
from gateway.advice.recommendation import ArmDifference, Recommendation
from gateway.advice.report import ArmFigures
from gateway.advice.row_facts import ChangedFact, FactsLook
from gateway.advice.words import Words, write_words
from gateway.evaluation.estimate import Estimate

LOOK = FactsLook(100, 0, 0, 0, 0, 0, 0, 0, None, 0.0)
FACTS = replace(LOOK, with_facts=40, indexed=40, documents=5, days_between=7.0, days_followed=30.0)
STALE = ChangedFact("24 months", "k2.md", 1, 3, [4])


def figure(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value, 80, value if low is None else low, value if high is None else high, "bootstrap")


def figures(arm: Arm, **more: Any) -> ArmFigures:
    values: dict[str, Any] = {"style": figure(0.3), "facts": figure(0.2), "task": None, "break_even": None, **more}
    return ArmFigures(
        **{"name": arm.name, "label": arm.label, "voice": None, "rules": None, "supported": None, "abstains": None},
        **{"prompt_tokens": 100.0, "completion_tokens": 30.0, "seconds": 0.1, "seconds_95": 0.2, "recited": 0},
        **values,
    )


BASE, TOLD = figures(Arm("none", False)), figures(Arm("none", True), facts=figure(0.9))


def recommend(style: Style = "none", facts: bool = False, **more: Any) -> Recommendation:
    values: dict[str, Any] = {"style_gap": None, "missing": None, "comparisons": (), "recites": False}
    values |= {"needs_style": style != "none", "gains_facts": facts, **more}
    return Recommendation(arm=Arm(style, facts), **values)


def write(recommendation: Recommendation, *arms: ArmFigures, **more: Any) -> Words:
    case: dict[str, Any] = {"look": LOOK, "changed": (), "training": {"summary": "9 minutes"}, "unknown": ()}
    case |= {"adapter": None, "prompt": None, "has_documents": False, "bounded": False, **more}
    look, changed, training = (case.pop(name) for name in ("look", "changed", "training"))
    return write_words(recommendation, [BASE, TOLD, *arms], look, changed, training, **case)


@pytest.mark.parametrize(
    ("style", "facts", "prompt", "sentence"),
    [
        ("none", False, None, "Use the base model as it is: nothing that was tried is better"),
        ("none", True, None, "Use your documents: let answers come from passages."),
        ("prompt", False, None, "Use your system text."),
        ("prompt", False, "tone@2", "Use your prompt tone@2."),
        ("guide", True, None, "Use the style guide in your system text, together with your documents."),
        ("guide", False, "tone@2", "Use the style guide in your prompt tone@2."),
        ("few-shot", False, None, "Use three examples in the prompt."),
        ("few-shot", True, "tone@2", "Use three examples in the prompt, with your prompt tone@2, together with"),
        ("adapter", False, None, "Use the style adapter ft:base:k:x:1."),
    ],
)
def test_the_choice_is_named_first(style: Style, facts: bool, prompt: str | None, sentence: str) -> None:
    words = write(recommend(style, facts), figures(Arm(style, facts)), adapter="ft:base:k:x:1", prompt=prompt)
    assert words.use[0].startswith(sentence)


def test_a_style_is_told_beside_that_of_the_base_with_the_same_documents() -> None:
    chosen = figures(Arm("guide", True), style=figure(0.85))
    assert (
        "Style: 0.85 of 1, where the base model with your documents has 0.30."
        in write(recommend("guide", True), chosen).use
    )
    none = write(recommend(style_gap=figure(0.01, -0.02, 0.03)))
    assert none.use[1] == "Style: your replies aren't told from the base model's (+0.01, -0.02 to +0.03 more)."
    assert not any("Style:" in one for one in write(recommend()).use)


def test_a_bounded_task_is_told_by_its_replies() -> None:
    chosen = figures(Arm("few-shot", False), task=figure(0.95))
    base = replace(BASE, task=figure(0.4))
    words = write_words(
        recommend("few-shot", missing=figure(0.05)),
        [base, chosen],
        LOOK,
        (),
        {"summary": "9 minutes"},
        **{"adapter": None, "prompt": None, "unknown": (), "has_documents": False, "bounded": True},
    )
    assert words.use[1].endswith("95 % of the answers are the very reply, and 40 % of the base model's.")
    assert "5 % of the replies" in words.next[0]


def test_facts_are_told_by_what_documents_bring() -> None:
    assert "Facts: no reply has a value that its conversation hasn't." in write(recommend()).use
    told = write(recommend(facts=True), look=FACTS, has_documents=True)
    assert told.use[-1] == (
        "Facts: with your documents 90 % of the values in replies are stated rightly, and 20 % without."
    )
    prompt = figures(Arm("prompt", False))
    stated = write(recommend("prompt", gains_facts=True), prompt, look=FACTS, has_documents=True)
    assert stated.use[-1].endswith("add nothing to what the prompt states already.")
    assert not any("Facts" in one for one in write(recommend(), look=FACTS, has_documents=True).use)


@pytest.mark.parametrize(
    ("look", "sentences"),
    [
        (FACTS, ["Facts change weekly and sit in 40 % of replies: don't train them, index them."]),
        (replace(FACTS, indexed=0, changed=1), ["Facts change weekly and sit in 40 % of replies"]),
        (replace(FACTS, days_between=None), ["Facts sit in 40 %", "isn't known: in 30 days no document"]),
        (replace(FACTS, days_between=None, days_followed=0.9), ["Facts sit", "isn't known: in less than a day no"]),
        (replace(FACTS, indexed=0), []),
        (replace(FACTS, indexed=0, nowhere=1), ["1 value of replies can be had from no document"]),
        (replace(FACTS, indexed=0, nowhere=1200), ["1,200 values of replies can be had from no document"]),
    ],
)
def test_facts_in_replies_are_warned_of_with_their_pace(look: FactsLook, sentences: list[str]) -> None:
    avoid = write(recommend(), look=look, has_documents=True).avoid
    assert len(avoid) == len(sentences)
    assert all(sentence in one for sentence, one in zip(sentences, avoid, strict=True))


@pytest.mark.parametrize(("share", "warned"), [(5, False), (6, True)])
def test_without_documents_more_than_few_facts_are_warned_of_and_documents_asked_for(share: int, warned: bool) -> None:
    words = write(recommend(), look=replace(LOOK, with_facts=share, nowhere=share))
    assert [f"Facts sit in {share} % of replies: don't train them. Without" in one for one in words.avoid] == [
        True
    ] * warned
    assert words.next == [f"Give the documents (--docs FOLDER): {share} % of replies hold facts."] * warned


def test_changed_facts_are_named_by_whether_the_adapter_has_them() -> None:
    learnt = replace(STALE, text="£49", learnt=True, recited=2)
    gone = replace(STALE, key="old.md", version=0)
    words = write(recommend(), changed=[learnt, STALE, gone], adapter="ft:1")
    assert words.avoid[0] == (
        "Don't use the adapter ft:1 as it is: it has learnt 1 value that documents have changed since: "
        "'£49' (k2.md, version 1, now 3). It states them in 2 answers."
    )
    assert words.avoid[1] == (
        "Don't train on these rows as they are: documents have changed 2 values of replies since: "
        "'24 months' (k2.md, version 1, now 3), '24 months' (old.md, deleted)."
    )
    assert words.next[0].endswith("without those that are stale. A training takes: 9 minutes.")
    recited = write(recommend(), changed=[replace(STALE, recited=1)], adapter="ft:1")
    assert "It states them in 1 answer." in recited.avoid[0]
    silent = write(recommend(), changed=[replace(STALE, learnt=True)], adapter="ft:1")
    assert silent.avoid[0].endswith("now 3).")


def test_of_many_changed_facts_five_are_named() -> None:
    six = [replace(STALE, text=f"{n} months") for n in range(6)]
    assert write(recommend(), changed=six).avoid[0].endswith("'4 months' (k2.md, version 1, now 3) and 1 more.")
    assert "more" not in write(recommend(), changed=six[:5]).avoid[0]


def test_an_adapter_that_recites_or_whose_rows_nobody_knows_is_not_recommended() -> None:
    recites = write(recommend(recites=True), adapter="ft:1")
    assert recites.avoid[0] == (
        "Don't use the style adapter as it is: its answers state values that documents have changed."
    )
    assert recites.next[0].startswith("Train the adapter again")
    known = write(recommend(recites=True), changed=[replace(STALE, learnt=True)], adapter="ft:1")
    assert not any("its answers state values" in one for one in known.avoid), "that is said with the values' names"
    unknown = write(recommend("guide"), figures(Arm("guide", False)), unknown=["ft:1", "ft:0"], adapter="ft:1")
    assert "what ft:1 and ft:0 learnt isn't known" in unknown.avoid[0]
    idle = write(recommend(), adapter="ft:1")
    assert idle.avoid == ["The style adapter isn't needed: there is no style that the base model lacks."]
    assert write(recommend()).avoid == []


def compare(arm: str, measure: Any, outcome: Any, *, against: str = "guide", value: float = 0.1) -> ArmDifference:
    return ArmDifference(arm, against, measure, figure(value, value - 0.1, value + 0.1), outcome)


def test_a_way_that_was_not_chosen_says_whether_it_loses_or_only_does_not_win() -> None:
    arms = [figures(Arm(style, False)) for style in ("prompt", "guide", "few-shot", "adapter")]  # type: ignore[arg-type]
    comparisons = (
        compare("few-shot", "style", "no difference"),
        compare("few-shot", "facts", "no difference"),
        compare("adapter", "style", "better"),
        compare("adapter", "abstains", "worse", value=-0.2),
        compare("prompt", "style", "better", against="base"),
    )
    words = write(recommend("guide", comparisons=comparisons, missing=figure(0.01)), *arms, adapter="ft:1")
    assert words.avoid == [
        "Not three examples in the prompt: it isn't better than a style guide in the prompt beyond noise "
        "(style +0.10, +0.00 to +0.20).",
        "Not the style adapter: it loses against a style guide in the prompt (abstains -0.20, -0.30 to -0.10).",
    ]
    assert words.next == ["More conversations may show that few-shot is better: 80 are too few to tell."]


@pytest.mark.parametrize(("value", "hopeful"), [(0.05, False), (0.06, True)])
def test_more_rows_are_asked_for_where_a_dearer_way_looks_better_by_enough(value: float, hopeful: bool) -> None:
    some = (compare("few-shot", "style", "no difference", value=value),)
    guide, few = figures(Arm("guide", False)), figures(Arm("few-shot", False))
    words = write(recommend("guide", comparisons=some), guide, few)
    assert bool([one for one in words.next if one.startswith("More conversations")]) is hopeful


@pytest.mark.parametrize(
    ("low", "start"), [(0.05, "No training is needed: with"), (0.06, "With a style guide in the prompt 0.20 of the")]
)
def test_a_training_is_proposed_where_enough_of_the_style_is_missing(low: float, start: str) -> None:
    guide = figures(Arm("guide", False))
    words = write(recommend("guide", missing=figure(0.2, low, 0.3)), guide)
    assert words.next[0].startswith(start)
    assert "It takes: 9 minutes." in words.next[0]
    assert write(recommend("guide", missing=figure(0.2, low, 0.3)), guide, adapter="ft:1").next == []
    assert write(recommend(missing=figure(0.2, low, 0.3))).next == []
    assert write(recommend("guide"), guide).next == []


def test_documents_that_have_the_values_and_do_not_help_are_to_be_looked_at() -> None:
    words = write(recommend(), look=FACTS, has_documents=True)
    assert words.next == [
        "The documents have values of these replies, and answers with passages don't state them more often beyond "
        "noise: look at what is found ('braid eval retrieval'), or ask more rows."
    ]
    assert write(recommend(facts=True), look=FACTS, has_documents=True).next == []
    assert write(recommend(), look=replace(FACTS, indexed=0), has_documents=True).next == []


@pytest.mark.parametrize(("facts", "count"), [(replace(figure(0.8), n=9), 9), (None, 0)])
def test_documents_of_which_too_few_rows_tell_are_not_said_to_be_of_no_help(facts: Estimate | None, count: int) -> None:
    told = replace(TOLD, facts=facts)
    words = write_words(
        recommend(),
        [BASE, told],
        FACTS,
        (),
        {"summary": "9 minutes"},
        **{"adapter": None, "prompt": None, "unknown": (), "has_documents": True, "bounded": False},
    )
    assert words.next == [
        f"Of the replies that were asked {count} hold a fact, and 10 are the fewest that tell whether documents help: "
        "ask more rows."
    ]


def test_costs_are_compared_where_a_longer_prompt_is_used_or_spared() -> None:
    guide = figures(Arm("guide", False), break_even=12_000)
    dear = write(recommend("guide"), guide)
    assert "after about 12,000 requests" in dear.next[-1]
    assert write(recommend("guide"), figures(Arm("guide", False))).next == []
    adapter = figures(Arm("adapter", False))
    few = figures(Arm("few-shot", False), break_even=3_000)
    spared = write(recommend("adapter"), adapter, guide, few, figures(Arm("prompt", False)), adapter="ft:1")
    assert spared.next == [
        "Its training has made up for the longer prompt of a style guide in the prompt after about 12,000 requests.",
        "Its training has made up for the longer prompt of three examples in the prompt after about 3,000 requests.",
    ]
