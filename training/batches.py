"""The order of rows: an epoch split into batches, and a batch into parts that fit into memory."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise

from training.memory_plan import Load
from training.spec import Recipe

__all__ = ["deal_rows", "measure_load", "plan_epochs", "split_batch", "split_epoch"]

_BUCKET_BATCHES = 8


def split_epoch(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int, *, count: int | None = None
) -> list[list[int]]:
    """Deal all rows into the batches of one epoch, the same ones for the same seed.

    Rows of about the same length come together, which saves padding; but only within stretches of a few batches, so
    that batches stay a fair sample of the rows.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows per batch; the last may have fewer.
        seed: Of the run.
        epoch: From 0; each has another order.
        count: Batches over which the rows are dealt evenly; None for as few as there can be.
    """
    order = random.Random(f"{seed}/{epoch}")
    rows = list(range(len(lengths)))
    order.shuffle(rows)
    if count is None:
        starts = [*range(0, len(rows), batch_size), len(rows)]
    else:
        starts = [len(rows) * number // count for number in range(count + 1)]
    batches: list[list[int]] = []
    for first in range(0, len(starts) - 1, _BUCKET_BATCHES):
        bounds = starts[first : first + _BUCKET_BATCHES + 1]
        rows[bounds[0] : bounds[-1]] = sorted(rows[bounds[0] : bounds[-1]], key=lambda row: lengths[row])
        batches += [rows[start:end] for start, end in pairwise(bounds)]
    order.shuffle(batches)
    return batches


def split_batch(lengths: Sequence[int], rows: Sequence[int], tokens: int) -> list[list[int]]:
    """Split a batch into parts of at most `tokens` tokens, padding included; a longer row goes alone."""
    parts: list[list[int]] = []
    for row in sorted(rows, key=lambda row: lengths[row]):
        # The newest row is the longest, and all others are padded to it.
        if parts and (len(parts[-1]) + 1) * lengths[row] <= tokens:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def deal_rows(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Deal a batch's rows to so many processes, which wait for each other: as many rows and about as many tokens each.

    Returns:
        The rows of each process by their places in `lengths`. With fewer rows than processes some have none.
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    for place, row in enumerate(sorted(range(len(lengths)), key=lambda row: lengths[row], reverse=True)):
        turn, seat = divmod(place, count)
        shares[seat if turn % 2 == 0 else count - 1 - seat].append(row)
    return shares


def plan_epochs(lengths: Sequence[int], recipe: Recipe) -> list[list[list[int]]]:
    """Return the batches of each epoch; together they are the recipe's steps.

    Args:
        lengths: Tokens of each row.
        recipe: Its epochs, batch size, steps and seed decide.
    """
    steps = recipe.count_steps(len(lengths))
    evenly = steps > recipe.epochs * math.ceil(len(lengths) / recipe.batch_size)
    epochs: list[list[list[int]]] = []
    for epoch in range(recipe.epochs):
        count = math.ceil(steps / (recipe.epochs - epoch)) if evenly else None
        batches = split_epoch(lengths, recipe.batch_size, recipe.seed, epoch, count=count)[:steps]
        if batches:
            epochs.append(batches)
        steps -= len(batches)
    return epochs


def measure_load(
    rows: Sequence[tuple[int, int]], validation: Sequence[tuple[int, int]], batch_size: int, tokens: int
) -> Load:
    """Return what no part of a run exceeds in whatever order its rows come; more tokens never make it smaller.

    Args:
        rows: Tokens and reply tokens of each row.
        validation: The same of the validation rows. There is no backward pass for them, so only their replies count.
        batch_size: Rows per optimizer step.
        tokens: The limit of a part, see `split_batch`.
    """
    longest = max(length for length, _ in rows)
    widest = max(longest, min(tokens, batch_size * longest))
    replies = _bound_replies(rows, batch_size, tokens)
    return Load(widest, max(replies, _bound_replies(validation, len(validation), tokens)))


def _bound_replies(rows: Sequence[tuple[int, int]], count: int, tokens: int) -> int:
    """Return the most reply tokens in `count` rows that have so many tokens together, or in any single row."""
    packed, room = 0, tokens
    for length, replies in sorted(rows, key=lambda row: row[1] / row[0], reverse=True):
        if room <= 0:
            break
        packed += math.ceil(replies * min(1.0, room / length))
        room -= length
    by_replies = sorted((replies for _, replies in rows), reverse=True)
    return max(max(by_replies, default=0), min(packed, sum(by_replies[:count])))
