import random

import pytest

from training.batches import split_batch, split_epoch

LENGTHS = random.Random(0).choices(range(5, 400), k=203)


@pytest.mark.parametrize("size", [1, 8, 300])
def test_each_row_is_dealt_once(size: int) -> None:
    batches = split_epoch(LENGTHS, size, seed=1, epoch=0)
    assert sorted(row for batch in batches for row in batch) == list(range(len(LENGTHS)))
    assert max(map(len, batches)) <= size
    assert len(batches) == -(-len(LENGTHS) // size)


def test_the_same_seed_deals_the_same_and_each_epoch_differently() -> None:
    assert split_epoch(LENGTHS, 8, 1, 0) == split_epoch(LENGTHS, 8, 1, 0)
    assert split_epoch(LENGTHS, 8, 1, 0) != split_epoch(LENGTHS, 8, 1, 1)
    assert split_epoch(LENGTHS, 8, 1, 0) != split_epoch(LENGTHS, 8, 2, 0)


def padding(batches: list[list[int]]) -> int:
    return sum(max(LENGTHS[row] for row in batch) * len(batch) for batch in batches) - sum(LENGTHS)


def test_rows_of_one_length_come_together() -> None:
    shuffled = list(range(len(LENGTHS)))
    random.Random(3).shuffle(shuffled)
    plain = [shuffled[start : start + 8] for start in range(0, len(shuffled), 8)]
    assert padding(split_epoch(LENGTHS, 8, 3, 0)) < padding(plain) / 3


def test_long_rows_do_not_all_come_first() -> None:
    longest = [max(LENGTHS[row] for row in batch) for batch in split_epoch(LENGTHS, 8, 3, 0)]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_parts_stay_under_the_limit_with_their_padding() -> None:
    parts = split_batch(LENGTHS, range(50), 1000)
    assert sorted(row for part in parts for row in part) == list(range(50))
    assert all(len(part) * max(LENGTHS[row] for row in part) <= 1000 for part in parts)
    assert len(parts) < 20


def test_a_row_over_the_limit_goes_alone() -> None:
    assert split_batch([10, 500, 700], [0, 1, 2], 100) == [[0], [1], [2]]
