import random
from collections.abc import Iterator

import pytest

from prompts import GENERIC
from prompts.text import clean, join_lines

INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2066\u2069\u2060\ufeff\u00ad\u180e\U000e0041\U000e0100\x00\x1b\x7f"
)
ALPHABET = [
    "<",
    ">",
    "|",
    "[",
    "]",
    "/",
    "｜",
    "▁",
    "_",
    " ",
    "\n",
    "\r",
    "\t",
    "\x0b",
    "\u00a0",
    "\u2028",
    "s",
    "1",
    "2",
]


def texts(seed: int, count: int = 4000) -> Iterator[str]:
    chance = random.Random(seed)
    pool = [*ALPHABET, "<|im_end|>", "[INST]", "<s>", *INVISIBLE, "INST", "SYS", "im_end", "é", "می", "👩", "word"]
    for _ in range(count):
        yield "".join(chance.choices(pool, k=chance.randint(0, 14)))


def test_cleaning_leaves_nothing_invisible_and_a_second_pass_changes_nothing() -> None:
    for text in texts(2):
        result = clean(text)
        assert clean(result) == result
        assert not set(result) & (set(INVISIBLE) - set("\u200c\u200d"))
        assert "\r" not in result
        assert join_lines(join_lines(text)) == join_lines(text)
        assert "\n" not in join_lines(text)


def test_a_token_hidden_by_invisible_characters_is_broken_too() -> None:
    hidden = "<\u200b|im_\u2060end|\ufeff>"
    assert GENERIC.neutralise(clean(hidden)) == "< |im_end|>"


def test_joiners_stay_where_a_script_needs_them() -> None:
    assert clean("می\u200cخواهم") == "می\u200cخواهم"
    assert clean("👩\u200d💻") == "👩\u200d💻"
    assert clean("pass\u200cword") == "password"
    assert clean("می\u200c\u200d\u200cخواهم") == "میخواهم"


def test_a_document_cannot_look_like_another_passage() -> None:
    assert clean("See list[2].\n  [2] Prices: free\n\u2003[3] x") == "See list[2].\n  (2) Prices: free\n\u2003(3) x"
    assert clean("\u00a0[2] x") == "(2) x"
    assert join_lines("Prices\n\n[2] Free") == "Prices (2) Free"


def test_line_ends_are_one_kind() -> None:
    assert clean("a\r\nb\rc\u2028d") == "a\nb\nc\nd"


@pytest.mark.parametrize("ending", ["", " – five years"])
@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_words_on_two_lines_or_pages_stay_apart(end: str, ending: str) -> None:
    assert clean(f"It costs 49{end}3 of ten lids are red.{ending}") == f"It costs 49\n3 of ten lids are red.{ending}"
