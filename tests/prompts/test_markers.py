"""What a model takes for more than text is broken in texts, for any set of spellings, and nothing else is."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts import GENERIC, Markers, find_generic

TOKENS = (
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|begin_of_text|>",
        "<|start_header_id|>",
        "<|user|>",
    ),
    *("<|turn>", "<turn|>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>"),
    *("<start_of_turn>", "<end_of_turn>", "<tool_call>", "</tool_call>", "<extra_id_0>", "<unused12>", "<fim_prefix>"),
    *(
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<</SYS>>",
        "[TOOL_CALLS]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
        "[gMASK]",
        "<sop>",
    ),
    *("[|user|]", "[|endofturn|]", "<seed:bos>", "<|START_OF_TURN_TOKEN|>", "<|reserved_special_token_0|>"),
)
SMALL = "ab<|> \\\n"
"""Few characters, so that spellings overlap, nest and complete each other."""
QWEN = Markers.of(("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>"))


def check(markers: Markers, spellings: set[str], text: str) -> None:
    safe = markers.neutralise(text)
    assert not [spelling for spelling in spellings if spelling in safe]
    assert markers.neutralise(safe) == safe
    if not any(spelling in text for spelling in spellings):
        assert safe == text
    if all(len(spelling) > 1 for spelling in spellings):
        assert safe.replace(" ", "") == text.replace(" ", "")


@given(st.sets(st.text(SMALL, max_size=5), max_size=6), st.text(SMALL, max_size=20))
def test_no_text_keeps_a_spelling_and_a_second_pass_changes_nothing(drawn: set[str], text: str) -> None:
    check(Markers.of(drawn), {one.strip() for one in drawn} - {""}, text)


@given(st.data(), st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=8))
def test_spellings_of_any_characters_are_broken_wherever_they_stand(data: st.DataObject, drawn: set[str]) -> None:
    spellings = {one.strip() for one in drawn} - {""}
    pieces = st.one_of(st.sampled_from(sorted(drawn)), st.text(max_size=3))
    check(Markers.of(drawn), spellings, "".join(data.draw(st.lists(pieces, max_size=10))))


@pytest.mark.parametrize(
    ("spellings", "text", "safe"),
    [
        (["<|im_end|>"], "<|im_<|im_end|>end|>", "<|im_< |im_end|>end|>"),
        (["aba"], "ababa", "a ba ba"),
        (["<|a|>", "<|a|><|b|>"], "<|a|><|b|>", "< |a|><|b|>"),
        (["§END§"], "§ 5, §END§END§", "§ 5, § END§ END§"),
        (["§"], "§5", " 5"),
        (["ab", "a b", "a  b"], "ab", "a   b"),
        (["\\x", "a\tb"], "\\x a\tb", "\\ x a \tb"),
        ([" <x> ", "\n", ""], "a\n<x>", "a\n< x>"),
        ([], "<|im_end|>", "<|im_end|>"),
    ],
)
def test_a_space_breaks_a_spelling_where_it_begins(spellings: list[str], text: str, safe: str) -> None:
    assert Markers.of(spellings).neutralise(text) == safe


@pytest.mark.parametrize("text", ["<s>£49</s>", "#include <bos>", "[INST] is a label in C", "x = a[PAD] + b[MASK]"])
def test_what_only_other_models_know_is_left_alone(text: str) -> None:
    assert GENERIC.neutralise(text) != text
    assert QWEN.neutralise(text) == text


@pytest.mark.parametrize("token", TOKENS)
def test_for_an_unknown_base_the_tokens_of_all_families_are_broken_and_stay_readable(token: str) -> None:
    safe = GENERIC.neutralise(f"before{token}after")
    assert token not in safe
    assert safe.replace(" ", "") == f"before{token}after"


@pytest.mark.parametrize(
    "text",
    [
        "a < b, b > c, x <- y, f <| x, xs <|> ys, a || b",
        "<p>one</p> <span>two</span> <strong>three</strong>",
        "list[0], [1], [see below], [x] done, [^1]",
        "Vec<String>, List<Map<String, int>>, #include <stdio.h>",
    ],
)
def test_ordinary_text_is_untouched(text: str) -> None:
    assert GENERIC.neutralise(text) == text
    assert find_generic(text) == set()


def test_no_text_keeps_a_token_of_any_family() -> None:
    chance = random.Random(1)
    pool = [*"<>|[]/｜▁_ \n\ts12", *TOKENS, "INST", "SYS", "im_end", "é", "word"]
    for _ in range(4000):
        text = "".join(chance.choices(pool, k=chance.randint(0, 14)))
        safe = GENERIC.neutralise(text)
        assert not [token for token in TOKENS if token in safe]
        assert GENERIC.neutralise(safe) == safe
        assert safe.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("token", TOKENS)
def test_the_spellings_of_all_families_can_be_told_in_a_text(token: str) -> None:
    assert find_generic(f"{{{{ '{token}' + message.content }}}}") == {token}


def test_a_long_document_costs_little_however_many_tokens_a_base_has() -> None:
    """Under a millisecond on an idle machine; the tokens tried one after another take half a second."""
    markers = Markers.of([f"<unused{number}>" for number in range(6_400)])
    document = "<tr><td>K2</td><td></td><td><s>49</s></td></tr>\n" * 2_000
    spent: list[float] = []
    for _ in range(3):
        start = time.process_time()
        assert markers.neutralise(document) == document
        spent.append(time.process_time() - start)
    assert min(spent) < 0.02


@pytest.mark.parametrize("turned", [False, True])
def test_joined_markers_break_the_spellings_of_both_also_where_one_makes_the_other(turned: bool) -> None:
    spaced, plain = Markers.of(["< end>"]), Markers.of(["<end>", "[stop]"])
    joined = plain.join(spaced) if turned else spaced.join(plain)
    for text in ("<end>", "< end>", "a[stop]b< end><end>"):
        broken = joined.neutralise(text)
        assert not any(spelling in broken for spelling in ("<end>", "< end>", "[stop]"))
        assert joined.neutralise(broken) == broken
    assert plain.join(Markers.of([])).neutralise("<end> [stop] end") == "< end> [ stop] end"
