import pytest

from gateway.evaluation import (
    Answer,
    FactQuestion,
    ScoredAnswer,
    StyleRule,
    StyleRules,
    Variant,
    score_answer,
    summarise,
)

QUESTION = FactQuestion("q-1", "How long is the warranty?", ["42 months"], ["27 months"], "k2.md")
STYLE = StyleRules((StyleRule("greeting", "a test's reason", lambda text: text.startswith("Hi")),))
PLAIN = Variant("plain", "plain", "base")
GROUNDED = Variant("grounded", "grounded", "support", retrieves=True)


def answer(text: str, *cited: str, prompt_tokens: int = 10, first_token: float = 0.1, total: float = 0.5) -> Answer:
    return Answer("chatcmpl-1", text, list(cited), None, prompt_tokens, 5, first_token, total)


def score(variant: Variant, reply: Answer, *, timed: bool = False) -> ScoredAnswer:
    return score_answer("kestrel", QUESTION, variant, reply, STYLE, timed=timed)


def test_a_right_cited_answer_in_style_has_every_point() -> None:
    scored = score(GROUNDED, answer("Hi! 42 months.", "k2.md", "k2.md"))
    assert (scored.style, scored.broken_rules, scored.fact, scored.cited) == (1, [], 1, True)
    assert (scored.group, scored.question, scored.variant) == ("kestrel", QUESTION.question, "grounded")


@pytest.mark.parametrize("cited", [(), ("k3.md",), ("k2.md", "k3.md")])
def test_only_the_right_document_may_be_cited(cited: tuple[str, ...]) -> None:
    assert score(GROUNDED, answer("42 months", *cited)).cited is False


def test_nothing_is_cited_where_nothing_is_retrieved() -> None:
    scored = score(PLAIN, answer("It is 27 months."))
    assert (scored.style, scored.broken_rules, scored.fact, scored.cited) == (0, ["greeting"], 0, None)


def test_a_summary_has_each_variants_figures() -> None:
    answers = [
        score(PLAIN, answer("Hi", prompt_tokens=10, first_token=9, total=9)),
        score(PLAIN, answer("No", prompt_tokens=20, first_token=1, total=2), timed=True),
        score(PLAIN, answer("No", prompt_tokens=30, first_token=2, total=4), timed=True),
        score(PLAIN, answer("No", prompt_tokens=41, first_token=5, total=9), timed=True),
        score(GROUNDED, answer("42 months", "k2.md")),
    ]
    results = summarise(answers, [GROUNDED, PLAIN])
    assert list(results) == ["grounded", "plain"]
    plain = results["plain"]
    assert (plain.style.value, plain.style.n, plain.facts.value) == (0.25, 4, 0)
    assert (plain.prompt_tokens, plain.first_token, plain.latency, plain.timed) == (25.2, 2, 4, 3)
    assert plain.cited is None
    grounded = results["grounded"]
    assert grounded.cited is not None
    assert (grounded.facts.value, grounded.cited.value) == (1, 1)
    assert (grounded.first_token, grounded.latency, grounded.timed) == (None, None, 0)


def test_a_variant_without_answers_has_no_figures() -> None:
    with pytest.raises(ValueError, match="Ask at least one question"):
        summarise([score(PLAIN, answer("Hi"))], [PLAIN, GROUNDED])
