import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batches import deal_rows, measure_load, plan_epochs, split_batch, split_epoch
from training.memory_plan import Load
from training.spec import Recipe

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


@given(st.lists(st.integers(1, 2000), max_size=40), st.integers(1, 8))
def test_processes_get_as_many_rows_and_about_as_many_tokens_each(lengths: list[int], count: int) -> None:
    shares = deal_rows(lengths, count)
    assert sorted(row for share in shares for row in share) == list(range(len(lengths)))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    tokens = [sum(lengths[row] for row in share) for share in shares]
    assert max(tokens) - min(tokens) <= max(lengths, default=0)


row_sizes = st.integers(1, 300).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))
many_rows = st.lists(row_sizes, min_size=1, max_size=30)


@given(many_rows, st.lists(row_sizes, max_size=10), st.integers(1, 9), st.integers(1, 600), st.integers(0, 5))
def test_no_part_of_a_run_is_larger_than_its_load(
    rows: list[tuple[int, int]], validation: list[tuple[int, int]], batch_size: int, tokens: int, seed: int
) -> None:
    load = measure_load(rows, validation, batch_size, tokens)
    lengths = [length for length, _ in rows]
    for batches in plan_epochs(lengths, Recipe(epochs=3, batch_size=batch_size, seed=seed)):
        for part in (part for batch in batches for part in split_batch(lengths, batch, tokens)):
            assert len(part) * max(lengths[row] for row in part) <= load.tokens
            assert sum(rows[row][1] for row in part) <= load.replies
    for part in split_batch([length for length, _ in validation], range(len(validation)), tokens):
        assert sum(validation[row][1] for row in part) <= load.replies
    more = measure_load(rows, validation, batch_size, tokens + 7)
    assert more.tokens >= load.tokens
    assert more.replies >= load.replies


def test_the_load_of_equal_rows_is_nearly_that_of_their_parts() -> None:
    assert measure_load([(230, 60)] * 96, [], 8, 2048) == Load(1840, 480)
    assert measure_load([(230, 60)] * 96, [], 8, 1) == Load(230, 60)
    assert measure_load([(230, 60)] * 96, [], 256, 2048) == Load(2048, 535)


def test_the_load_of_many_rows_and_epochs_is_measured_at_once() -> None:
    rows = [(200 + number % 700, 50) for number in range(50_000)]
    start = time.process_time()
    measure_load(rows, rows, 8, 2048)
    assert time.process_time() - start < 2
