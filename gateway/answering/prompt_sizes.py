"""The sizes of a prompt's pieces in tokens, with a number of counts that doesn't grow with the conversation."""

import itertools
from collections.abc import Iterator, Sequence

import prompts
from gateway.engines.token_counter import TokenCounter

__all__ = ["measure_segments"]

_MESSAGE_TOKENS = 8  # what a chat template puts around a message, at most, in the families that vLLM serves
_SINGLE_TURNS = 8
_BLOCKS_AT_ONCE = 8


async def measure_segments(draft: prompts.Draft, budget: int, counter: TokenCounter) -> list[int]:
    """Return the tokens of each of `draft.segments`, as far as they decide what fits into `budget`.

    Nothing is counted where even the bytes fit: a byte-level tokenizer never makes more tokens than bytes. Otherwise
    the newest turns are counted one by one, older ones in blocks, each of which is kept or dropped whole, and those
    that are too old to fit anyway aren't counted at all.

    Raises:
        EngineError: No replica could count.
    """
    segments = draft.segments
    sizes = [_bound(segment, len(segment.text.encode())) for segment in segments]
    if sum(sizes) <= budget:
        return sizes
    middle = draft.head + len(draft.turns)
    others = [*range(draft.head), *range(middle, len(segments))]
    counts = await counter.count([segments[index].text for index in others])
    for index, count in zip(others, counts, strict=True):
        sizes[index] = _bound(segments[index], count)
    turns, total = segments[draft.head : middle], 0
    for blocks in _batches(_blocks(len(turns))):
        if total > budget:
            counts = [budget] * len(blocks)
        else:
            counts = await counter.count(["\n".join(turn.text for turn in turns[start:end]) for start, end in blocks])
        for (start, end), count in zip(blocks, counts, strict=True):
            size = count + sum(_bound(turn, 0) for turn in turns[start:end])
            total += size
            # The newest turn has the size of all: where it fits, those before it in the block come for nothing.
            sizes[draft.head + start : draft.head + end] = [0] * (end - start - 1) + [size]
    return sizes


def _bound(segment: prompts.Segment, tokens: int) -> int:
    """Add one, which texts that are counted apart can make more than together, and the words around messages."""
    return tokens + 1 + _MESSAGE_TOKENS * segment.messages


def _blocks(turns: int) -> Iterator[tuple[int, int]]:
    """Cut turns, numbered from the oldest, into blocks [start, end) that grow with their age, newest first.

    From the second on, a block begins at a multiple of its size, so that most of them are the same, and their counts
    known, when the conversation has gone on.
    """
    end = turns
    while end:
        size = 1 << max((turns - end).bit_length() - _SINGLE_TURNS.bit_length() + 1, 0)
        start = (end - 1) // size * size
        yield start, end
        end = start


def _batches(blocks: Iterator[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    while batch := list(itertools.islice(blocks, _BLOCKS_AT_ONCE)):
        yield batch
