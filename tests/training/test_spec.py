import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batches import plan_epochs
from training.errors import TrainingError
from training.rendered_rows import RowsFile
from training.spec import MINIMUM_ROWS, Recipe, TrainSpec, choose_rate, choose_steps, read_spec


def test_the_recipe_that_was_measured_is_the_default_for_its_number_of_rows() -> None:
    recipe = Recipe.for_rows(96).resolve(135_000_000)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.count_steps(96)) == (2, 2, 7e-4, 96)


@pytest.mark.parametrize("rows", [10, 18, 32, 49, 50, 95])
def test_small_sets_are_seen_up_to_five_times(rows: int) -> None:
    recipe = Recipe.for_rows(rows)
    assert 2 <= recipe.epochs <= 5
    assert recipe.count_steps(rows) >= 12


@pytest.mark.parametrize("rows", [1536, 5000, 100_000])
def test_large_sets_are_seen_once(rows: int) -> None:
    recipe = Recipe.for_rows(rows)
    assert (recipe.epochs, recipe.batch_size, recipe.count_steps(rows)) == (1, 8, math.ceil(rows / 8))


def test_neighbouring_numbers_of_rows_differ_by_at_most_a_tenth_in_steps() -> None:
    steps = [Recipe.for_rows(rows).count_steps(rows) for rows in range(MINIMUM_ROWS, 100_001)]
    assert steps == [choose_steps(rows) for rows in range(MINIMUM_ROWS, 100_001)]
    for rows, (fewer, more) in enumerate(pairwise(steps), MINIMUM_ROWS):
        assert fewer <= more <= 1.1 * fewer, rows


@pytest.mark.parametrize("epochs", [None, 1, 2, 3, 4, 5, 10, 50])
@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 4, 6, 8, 16, 64, 256])
def test_neighbours_are_near_whatever_the_caller_asks_for(epochs: int | None, batch_size: int | None) -> None:
    recipes = [
        (rows, Recipe.for_rows(rows, epochs=epochs, batch_size=batch_size)) for rows in range(MINIMUM_ROWS, 3001)
    ]
    steps = [recipe.count_steps(rows) for rows, recipe in recipes]
    for rows, (fewer, more) in enumerate(pairwise(steps), MINIMUM_ROWS):
        # An epoch is whole where the caller says how many, so its last batch is one more in each of them.
        assert fewer <= more <= fewer + max(math.ceil(fewer / 10), epochs or 1), rows


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_whole_epochs_in_batches_of_the_callers_size_have_no_smoother_steps(epochs: int, batch_size: int) -> None:
    """Where both are asked for, steps are the fewest that see each row once per epoch, and none can be taken away.

    So two neighbours differ by a batch per epoch where the rows of one fill their batches, which may be more than a
    tenth, and by nothing elsewhere. To come nearer, batches or epochs would have to be others than the caller's.
    """
    for rows in range(MINIMUM_ROWS, 60):
        recipe = Recipe.for_rows(rows, epochs=epochs, batch_size=batch_size)
        dealt = plan_epochs([1] * rows, recipe)
        assert all(sum(map(len, batches)) == rows for batches in dealt)
        assert all((len(batches) - 1) * batch_size < rows <= len(batches) * batch_size for batches in dealt)
        more = Recipe.for_rows(rows + 1, epochs=epochs, batch_size=batch_size).count_steps(rows + 1)
        assert more - recipe.count_steps(rows) == (0 if rows % batch_size else epochs)


@pytest.mark.parametrize(("rows", "epochs", "steps"), [(192, 3, 288), (193, 3, 288), (3000, 1, 375), (10, 3, 15)])
def test_epochs_of_the_callers_choice_have_the_recipes_steps(rows: int, epochs: int, steps: int) -> None:
    recipe = Recipe.for_rows(rows, epochs=epochs)
    assert recipe.count_steps(rows) == steps
    dealt = plan_epochs([1] * rows, recipe)
    assert [sorted(row for batch in batches for row in batch) for batches in dealt] == [list(range(rows))] * epochs
    sizes = {len(batch) for batches in dealt for batch in batches}
    assert sizes <= {recipe.batch_size, recipe.batch_size - 1}
    assert sum(map(len, dealt)) == steps


def test_batches_of_the_callers_choice_make_no_jump_in_steps() -> None:
    assert [Recipe.for_rows(rows, batch_size=8).count_steps(rows) for rows in (16, 17)] == [10, 11]


@pytest.mark.parametrize("rows", [*range(MINIMUM_ROWS, 2000, 7), 100_000])
def test_every_row_is_seen_and_none_more_than_five_times(rows: int) -> None:
    recipe = Recipe.for_rows(rows)
    assert recipe.count_steps(rows) >= math.ceil(rows / recipe.batch_size)
    assert recipe.epochs <= 5
    assert 2 <= recipe.batch_size <= 8


@given(st.integers(10, 100_000), st.integers(1, 50), st.integers(1, 256))
def test_what_a_caller_asks_for_is_kept(rows: int, epochs: int, batch_size: int) -> None:
    both = Recipe.for_rows(rows, epochs=epochs, batch_size=batch_size)
    assert (both.epochs, both.batch_size, both.steps) == (epochs, batch_size, None)
    assert both.count_steps(rows) == epochs * math.ceil(rows / batch_size)
    assert Recipe.for_rows(rows, epochs=epochs).epochs == epochs
    sized = Recipe.for_rows(rows, batch_size=batch_size)
    assert sized.batch_size == batch_size
    assert 1 <= sized.epochs <= 5
    assert math.ceil(rows / batch_size) <= sized.count_steps(rows)


def test_a_users_own_numbers_go_before_the_recipes() -> None:
    recipe = Recipe.for_rows(96, epochs=3, batch_size=4, learning_rate_multiplier=0.5, seed=7).resolve(135_000_000)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.seed) == (3, 4, 3.5e-4, 7)
    assert recipe.count_steps(95) == 3 * 24


@pytest.mark.parametrize(
    ("parameters", "rate"),
    [(1, 7e-4), (134_515_008, 7e-4), (135_000_000, 7e-4), (10**9, 2e-4), (8 * 10**9, 2e-4), (494_032_768, 3.11e-4)],
)
def test_larger_models_take_smaller_steps(parameters: int, rate: float) -> None:
    assert Recipe().resolve(parameters).learning_rate == rate
    assert Recipe(method="dpo").resolve(parameters).learning_rate == pytest.approx(rate / 10, rel=1e-2)


@given(st.integers(10_000_000, 10_000_000_000))
def test_a_slightly_larger_model_takes_nearly_the_same_rate(parameters: int) -> None:
    rate, next_rate = choose_rate(parameters), choose_rate(parameters * 101 // 100)
    assert rate * 0.98 <= next_rate <= rate


def test_resolving_twice_changes_nothing() -> None:
    once = Recipe(learning_rate_multiplier=2).resolve(1)
    assert once.resolve(1) == once


def write(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"base_model": "b", "rows": {"path": "r"}, "recipe": {}, **changes}))
    return path


def test_a_spec_is_read(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path / "s", recipe={"epochs": 2, "target_modules": ["q_proj"]}))
    assert spec == TrainSpec(base_model="b", rows=RowsFile("r"), recipe=Recipe(epochs=2, target_modules=["q_proj"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"epoch": 2}},
        {"recipe": {"epochs": 0}},
        {"recipe": {"method": "ppo"}},
        {"recipe": {"method": "dpo", "beta": 0}},
        {"recipe": {"learning_rate": -1}},
        {"recipe": {"rank": 0}},
        {"base": "b"},
        {"rows": None},
        {"rows": "r"},
        {"rows": {"path": "r", "digest": "latest"}},
    ],
)
def test_a_bad_spec_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(TrainingError) as caught:
        read_spec(write(tmp_path / "s", **changes))
    assert caught.value.code == "invalid_spec"


def test_a_missing_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        read_spec(tmp_path / "s")
