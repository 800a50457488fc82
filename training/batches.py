"""The order of rows: an epoch split into batches, and a batch into parts that fit into memory."""

import random
from collections.abc import Sequence

from training.memory_plan import Load
from training.spec import Recipe

__all__ = ["measure_load", "plan_epochs", "split_batch", "split_epoch"]

_BUCKET_BATCHES = 8


def split_epoch(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Deal all rows into the batches of one epoch, the same ones for the same seed.

    Rows of about the same length come together, which saves padding; but only within stretches of a few batches, so
    that batches stay a fair sample of the rows.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows per batch; the last may have fewer.
        seed: Of the run.
        epoch: From 0; each has another order.
    """
    order = random.Random(f"{seed}/{epoch}")
    rows = list(range(len(lengths)))
    order.shuffle(rows)
    stretch = batch_size * _BUCKET_BATCHES
    batches: list[list[int]] = []
    for start in range(0, len(rows), stretch):
        bucket = sorted(rows[start : start + stretch], key=lambda row: lengths[row])
        batches += [bucket[first : first + batch_size] for first in range(0, len(bucket), batch_size)]
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


def plan_epochs(lengths: Sequence[int], recipe: Recipe) -> list[list[list[int]]]:
    """Return the batches of each epoch; together they are the recipe's steps.

    Args:
        lengths: Tokens of each row.
        recipe: Its epochs, batch size, steps and seed decide.
    """
    steps = recipe.count_steps(len(lengths))
    epochs: list[list[list[int]]] = []
    for epoch in range(recipe.epochs):
        batches = split_epoch(lengths, recipe.batch_size, recipe.seed, epoch)[:steps]
        if batches:
            epochs.append(batches)
        steps -= len(batches)
    return epochs


def measure_load(
    rows: Sequence[tuple[int, int]], validation: Sequence[tuple[int, int]], recipe: Recipe, tokens: int
) -> Load:
    """Return the largest part of a run whose parts have at most `tokens` tokens; more tokens never make it smaller.

    Args:
        rows: Tokens and reply tokens of each row.
        validation: The same of the validation rows. There is no backward pass for them, so only their replies count.
        recipe: Of the run.
        tokens: The limit, see `split_batch`.
    """
    lengths = [length for length, _ in rows]
    widest = most_replies = 0
    for batches in plan_epochs(lengths, recipe):
        for batch in batches:
            for part in split_batch(lengths, batch, tokens):
                widest = max(widest, len(part) * max(lengths[row] for row in part))
                most_replies = max(most_replies, sum(rows[row][1] for row in part))
    for part in split_batch([length for length, _ in validation], range(len(validation)), tokens):
        most_replies = max(most_replies, sum(validation[row][1] for row in part))
    return Load(widest, most_replies)
