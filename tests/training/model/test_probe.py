"""The rows by which engines prove that they apply an adapter."""

from training.probe import _choose_replies  # pyright: ignore[reportPrivateUsage]
from training.tokenization import TokenizedRow

NEUTRAL = list(range(5000, 5016))
REPLY = 40


def make_row(number: int, prompt: int) -> TokenizedRow:
    tokens = [1, *range(100, 99 + prompt + REPLY)]
    return TokenizedRow(number, tokens, [False] * prompt + [True] * REPLY)


def test_the_last_row_of_short_ones_is_as_long_as_a_served_prompt() -> None:
    rows = [make_row(number, 60 + number) for number in range(96)]
    *short, (tokens, start) = _choose_replies(rows, 1000, NEUTRAL)
    assert short == [(row.tokens, 60 + row.number) for row in rows[:3]]
    assert (len(tokens), start) == (1000, 1000 - REPLY)
    longest = rows[-1].tokens
    assert tokens[-len(longest) :] == longest
    before = tokens[: -len(longest)]
    assert before[0] == longest[0], "models need the token that all their prompts begin with"
    assert before[1:18] == [*NEUTRAL, NEUTRAL[0]]


def test_the_longest_row_is_cut_and_never_longer_than_the_base_takes() -> None:
    rows = [make_row(number, 60 + number) for number in range(96)]
    tokens, start = _choose_replies([*rows, make_row(99, 5900)], 1000, NEUTRAL)[-1]
    assert (len(tokens), start, tokens) == (1000, 1000 - REPLY, make_row(99, 5900).tokens[-1000:])
    assert [len(tokens) for tokens, _ in _choose_replies(rows, 511, NEUTRAL)] == [100, 101, 102, 511]
    exact = [*rows, make_row(99, 1000 - REPLY)]
    assert _choose_replies(exact, 1000, NEUTRAL)[-1] == (exact[-1].tokens, 1000 - REPLY)
