"""The order of rows: an epoch split into batches, and a batch into parts that fit into memory."""

import random
from collections.abc import Sequence

__all__ = ["split_batch", "split_epoch"]

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
