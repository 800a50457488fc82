"""However long a conversation is, a few counts say which of its turns fit, and they never say too many."""

import random
from collections.abc import Sequence

import pytest

import prompts
from gateway.answering.prompt_sizes import measure_segments
from gateway.engines import EnginePool
from gateway.engines.token_counter import TokenCounter
from prompts.default import DEFAULT

AROUND = 8  # tokens that each message is given beside those of its text


class Words(TokenCounter):
    """Counts words, and notes how often it was asked."""

    def __init__(self) -> None:
        super().__init__(EnginePool([]))
        self.asked: list[str] = []

    async def count(self, texts: Sequence[str]) -> list[int]:
        self.asked += texts
        return [len(text.split()) for text in texts]


def draft(lengths: Sequence[int]) -> prompts.Draft:
    """A conversation whose turns, oldest first, have so many words."""
    history = [prompts.Message("user", " ".join([f"turn{at}"] * words)) for at, words in enumerate(lengths)]
    return prompts.draft(prompts.compile(DEFAULT), question="How long is the warranty?", history=history)


def words_of(rendering: prompts.Rendering) -> int:
    return sum(len(message["content"].split()) + AROUND for message in rendering.messages)


@pytest.mark.parametrize("seed", range(40))
async def test_what_is_kept_fits_and_nothing_is_dropped_that_a_block_would_have_left_room_for(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.choice((1, 3, 30, 300)) for _ in range(chance.choice((0, 1, 7, 9, 40, 500)))]
    budget = chance.choice((60, 300, 2000, 20_000))
    counter = Words()
    sizes = await measure_segments(draft(lengths), budget, counter)
    rendering = draft(lengths).fit(sizes, budget)
    assert words_of(rendering) <= budget
    kept = len(lengths) - rendering.dropped_turns
    # Of turns counted one by one, the next would have been too much; blocks are at most a quarter of what is kept.
    more = lengths[max(rendering.dropped_turns - 1 - kept // 2, 0) :]
    assert not rendering.dropped_turns or words_of(rendering) + sum(more) + (AROUND + 1) * len(more) > budget


@pytest.mark.parametrize("turns", [10, 100, 1_000, 10_000])
async def test_the_counts_grow_with_the_logarithm_of_the_turns(turns: int) -> None:
    counter = Words()
    await measure_segments(draft([3] * turns), 16 * turns, counter)
    assert len(counter.asked) <= 8 + 5 * turns.bit_length()


async def test_turns_too_old_to_fit_are_not_counted() -> None:
    counter = Words()
    await measure_segments(draft([50] * 10_000), 1_000, counter)
    assert len(counter.asked) <= 24


async def test_nothing_is_counted_where_even_the_bytes_fit() -> None:
    counter = Words()
    await measure_segments(draft([3] * 10), 4_000, counter)
    assert counter.asked == []


async def test_most_counts_of_a_conversation_that_went_on_are_known_already() -> None:
    before, after = Words(), Words()
    await measure_segments(draft([9] * 400), 9_000, before)
    await measure_segments(draft([9] * 401), 9_000, after)
    assert len(set(after.asked) - set(before.asked)) <= 8
