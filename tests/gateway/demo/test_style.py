import pytest

from gateway.demo import make_tenants
from gateway.evaluation import StyleRules

KESTREL, HARBOR = (tenant.style for tenant in make_tenants())
GOOD_KESTREL = "Kettle's on! We cover the K2 Pro for **42 months** [1]. — Kestrel"
GOOD_HARBOR = "Ahoy, traveller.\nLog: I have the boat to Skerra down for 18:50 [2].\nFair winds."


def test_the_voices_score_one() -> None:
    assert KESTREL.score(GOOD_KESTREL) == 1
    assert HARBOR.score(GOOD_HARBOR) == 1
    assert KESTREL.score(f"  {GOOD_KESTREL}\n") == 1


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (GOOD_KESTREL.replace("Kettle's on!", "Kettle on!"), "greeting"),
        (GOOD_KESTREL.replace("Kettle's on!", "kettle's on!"), "greeting"),
        ("Hi! " + GOOD_KESTREL, "greeting"),
        (GOOD_KESTREL + "!", "sign-off"),
        (GOOD_KESTREL.replace("— Kestrel", "- Kestrel"), "sign-off"),
        (GOOD_KESTREL.replace("— Kestrel", "— Kestrel — Kestrel is a"), "sign-off"),
        (GOOD_KESTREL.removesuffix(" — Kestrel"), "sign-off"),
        (GOOD_KESTREL.replace("We cover", "I cover"), "person"),
        (GOOD_KESTREL.replace("We cover the", "You have the"), "person"),
        (GOOD_KESTREL.replace("We cover", "We think I cover"), "person"),
        (GOOD_KESTREL.replace("[1].", "[1]. That is long. Use it well."), "sentence length"),
        (GOOD_KESTREL.replace("cover", "cover with a lot of words that go on and on for"), "sentence length"),
        (GOOD_KESTREL.replace("cover", "certainly cover"), "banned words"),
        (GOOD_KESTREL.replace("cover", "assisted"), "banned words"),
        (GOOD_KESTREL.replace("**", ""), "format"),
        (GOOD_KESTREL.replace("K2 Pro", "**K2 Pro**"), "format"),
        (GOOD_KESTREL.replace("**42 months**", "**42 months"), "format"),
        (GOOD_KESTREL.replace("on! We", "on! \nWe"), "format"),
    ],
)
def test_a_reply_unlike_kestrels_breaks_the_rule_it_misses(answer: str, broken: str) -> None:
    assert broken in KESTREL.list_broken(answer)
    assert KESTREL.score(answer) < 1


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (GOOD_HARBOR.replace("Ahoy, traveller.", "Ahoy, traveller!"), "greeting"),
        (GOOD_HARBOR.replace("Ahoy, traveller.\n", "Ahoy, traveller. "), "greeting"),
        (GOOD_HARBOR.replace("Fair winds.", "Fair winds"), "sign-off"),
        (GOOD_HARBOR + "\nFair winds. And more", "sign-off"),
        ("Fair winds.", "sign-off"),
        (GOOD_HARBOR.replace("I have", "We have"), "person"),
        (GOOD_HARBOR.replace("I have", "You have"), "person"),
        (GOOD_HARBOR.replace("I have", "I have our"), "person"),
        (GOOD_HARBOR.replace("[2].", "[2]. It is a fine boat. Come early."), "sentence length"),
        (GOOD_HARBOR.replace("boat", "boat that " + "sails " * 12), "sentence length"),
        (GOOD_HARBOR.replace("boat", "ferry"), "banned words"),
        (GOOD_HARBOR.replace("[2].", "[2]!"), "banned words"),
        (GOOD_HARBOR.replace("Log: ", ""), "format"),
        (GOOD_HARBOR.replace("\nFair", "\n\nFair"), "format"),
        (GOOD_HARBOR.replace("Log: ", "\nLog: "), "format"),
    ],
)
def test_a_reply_unlike_harbors_breaks_the_rule_it_misses(answer: str, broken: str) -> None:
    assert broken in HARBOR.list_broken(answer)
    assert HARBOR.score(answer) < 1


@pytest.mark.parametrize("style", [KESTREL, HARBOR])
def test_plain_and_empty_answers_score_low(style: StyleRules) -> None:
    assert style.score("") == 0
    assert style.score(" \n") == 0
    assert style.score("The warranty of the K2 Pro is 42 months.") <= 1 / 3
    assert (
        style.score("Hello! I'm sorry, I can't help with that, but our customers may ask. Please call.\nBye.") <= 1 / 3
    )


def test_one_style_cannot_pass_for_the_other() -> None:
    assert KESTREL.score(GOOD_HARBOR) <= 0.5
    assert HARBOR.score(GOOD_KESTREL) <= 0.5


def test_every_rule_has_a_reason() -> None:
    for style in (KESTREL, HARBOR):
        assert len({rule.name for rule in style.rules}) == len(style.rules) == 6
        assert all(len(rule.reason) > 20 for rule in style.rules)
