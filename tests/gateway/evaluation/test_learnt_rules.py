"""The rules that replies teach, as people and models are told them."""

import pytest

from gateway.evaluation.learnt_rules import learn_rules


def instructions(texts: list[str], others: list[str] | None = None) -> dict[str, str]:
    return {rule.name: rule.instruction for rule in learn_rules(texts, others or []).rules}


def test_blank_replies_teach_nothing() -> None:
    replies = ["Hello, it is sent."] * 10
    assert len(learn_rules(replies[:9] + [" \n"] * 5).rules) == 0
    assert instructions([*replies, "", " \n"]) == instructions(replies)


@pytest.mark.parametrize(
    ("reply", "told"),
    [("Yes", "Write one word."), ("Yes of course", "Write 3 words."), ("it's twenty-four", "Write 3 words.")],
)
def test_a_length_that_is_always_the_same_is_told_as_one_number(reply: str, told: str) -> None:
    assert instructions([reply] * 10)["length"] == told


def test_a_length_is_that_of_nine_of_ten_and_half_as_many_again_pass() -> None:
    (length,) = [
        one for one in learn_rules([" ".join(["word"] * n) for n in range(10, 31)]).rules if one.name == "length"
    ]
    assert length.instruction == "Write 11 to 29 words."
    kept = [n for n in range(1, 60) if length.check(" ".join(["word"] * n))]
    assert (kept[0], kept[-1]) == (8, 43)


def test_a_reply_begins_and_ends_as_the_others_do_whatever_stands_between() -> None:
    rules = learn_rules([f"Hello there, number {n} is sent. Cheers, Anna" for n in range(10)])
    told = {rule.name: rule.instruction for rule in rules.rules}
    assert (told["greeting"], told["sign-off"]) == ('Begin with "hello".', 'End with "cheers anna".')
    broken = set(rules.list_broken("hello there, something else is sent soon.\n\nCheers,\nAnna!"))
    assert not broken & {"greeting", "sign-off"}
    assert {"greeting", "sign-off"} <= set(rules.list_broken("Well, hello. It is sent now. Cheers, Anna Smith"))


def test_nine_of_ten_make_a_rule_and_fewer_none() -> None:
    nine = ["Hello, it is sent."] * 9 + ["Well, it is sent."]
    assert instructions(nine)["greeting"] == 'Begin with "hello".'
    assert "greeting" not in instructions([*nine, "Now it is sent."])


@pytest.mark.parametrize(
    ("sign", "name", "with_it", "without"),
    [
        ("we", "we", 'Use "we".', 'Never use "we".'),
        ("I", "I", 'Use "I".', 'Never use "I".'),
        ("\n- one\n- two", "a list", "Use a list.", "Never use a list."),
        ("🙂", "an emoji", "Use an emoji.", "Never use an emoji."),
        ("!", "an exclamation mark", "Use an exclamation mark.", "Never use an exclamation mark."),
        ("?", "a question mark", "Use a question mark.", "Never use a question mark."),
        ("—", "a dash", "Use a dash.", "Never use a dash."),
        ("\n", "a line break", "Use a line break.", "Never use a line break."),
    ],
)
def test_what_nearly_all_or_nearly_none_have_is_told_in_words(sign: str, name: str, with_it: str, without: str) -> None:
    bare = name.removeprefix("an ").removeprefix("a ")
    signed = [f"It is {sign} sent {n}." for n in range(20)]
    plain = [f"It is sent {n}." for n in range(20)]
    assert instructions(signed)[f"has {name}"] == with_it
    assert instructions(plain)[f"no {bare}"] == without
    (rule,) = [one for one in learn_rules(plain).rules if one.name == f"no {bare}"]
    assert rule.reason == f"20 of 20 replies have no {bare}."
    assert (rule.check(plain[0]), rule.check(signed[0])) == (True, False)
    mixed = instructions(signed[:10] + plain[:10])
    assert f"has {name}" not in mixed
    assert f"no {bare}" not in mixed


def test_words_of_others_that_no_reply_uses_are_banned() -> None:
    replies = [f"Hello, it is sent {n}." for n in range(10)]
    others = ["The item is currently being processed, hello."] * 2 + ["Nothing that stands here."] * 18
    told = instructions(replies, others)["banned words"]
    assert {"currently", "processed", "nothing"} <= set(told.removeprefix("Never use these words: ")[:-1].split(", "))
    assert not {"hello", "the", "is"} & set(told.removesuffix(".").replace(",", "").split())
    assert "banned words" not in instructions(replies, ["It is currently away."] + ["It is sent."] * 9)


@pytest.mark.parametrize("letters", ["退款需要三十天时间", "ありがとうございます", "ขอบคุณมากครับผม"])
def test_a_length_in_a_script_without_spaces_grows_with_its_letters(letters: str) -> None:
    (length,) = [one for one in learn_rules([letters * 20] * 10).rules if one.name == "length"]
    assert length.check(letters * 20)
    assert not length.check(letters * 2)
    assert not length.check(letters * 60)


@pytest.mark.parametrize("regards", ["Warm regards", "Mit freundlichen Grüßen", "Saludos", "— Your Kestrel team"])
@pytest.mark.parametrize("name", ["\n{}", "\n\n{}!", ",\n{}."])
def test_people_of_a_team_sign_off_in_the_same_words(regards: str, name: str) -> None:
    texts = [f"It is sent, number {n}.\n\n{regards}{name.format(('Ann', 'Bob', 'Cid')[n % 3])}" for n in range(20)]
    (sign_off,) = [rule for rule in learn_rules(texts).rules if rule.name == "sign-off"]
    assert sign_off.instruction == f'End with "{regards.removeprefix("— ").casefold()}".'
    assert all(map(sign_off.check, texts))
    assert not sign_off.check("It is sent.\n\nBye,\nAnn")


def test_who_speaks_is_learnt_where_a_language_says_it_in_words() -> None:
    spanish = [f"Enviamos su pedido {n} mañana por la tarde." for n in range(20)]
    assert not {"no we", "no I", "has we"} & instructions(spanish).keys()
    assert "has we" in instructions([f"Nosotros enviamos su pedido {n} mañana." for n in range(20)])
    assert "no we" in instructions([f"Die Sendung {n} ist unterwegs." for n in range(20)])
    assert "has we" in instructions([f"Wij sturen het pakket {n} vandaag." for n in range(20)])
