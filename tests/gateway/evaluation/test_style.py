from gateway.evaluation import StyleRule, StyleRules, split_sentences

RULES = StyleRules(
    (
        StyleRule("greeting", "so that a reader feels welcome", lambda answer: answer.startswith("Hi")),
        StyleRule("length", "so that it fits on a card", lambda answer: len(answer) < 20),
    )
)


def test_a_score_is_the_share_of_rules_met() -> None:
    assert RULES.score("Hi, all is well.") == 1
    assert RULES.score("Hi, and this answer is long.") == 0.5
    assert RULES.list_broken("Good morning, and this answer is long.") == ["greeting", "length"]


def test_white_space_around_an_answer_breaks_no_rule() -> None:
    assert RULES.list_broken("  Hi there.\n") == []


def test_an_empty_answer_breaks_every_rule() -> None:
    assert RULES.list_broken(" \n") == ["greeting", "length"]
    assert RULES.score("") == 0


def test_a_style_without_rules_is_kept_by_every_answer() -> None:
    assert StyleRules(()).score("anything") == 1
    assert StyleRules(()).list_broken("") == []


def test_decimals_do_not_end_a_sentence() -> None:
    assert split_sentences("It costs £7.40 at 18.50 in 3.4.2 [1].") == ["It costs £7.40 at 18.50 in 3.4.2 [1]."]
    assert split_sentences(" One. Two! Three? ") == ["One.", "Two!", "Three?"]
    assert split_sentences("") == []
