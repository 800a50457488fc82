import json
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.rendered_rows import RowsFile
from training.spec import Recipe, TrainSpec, read_spec


def test_the_recipe_that_was_measured_is_the_default_for_its_number_of_rows() -> None:
    recipe = Recipe.for_rows(96).resolve(135_000_000)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.count_steps(96)) == (2, 2, 7e-4, 96)


@pytest.mark.parametrize("rows", [10, 18, 32, 49, 50, 95])
def test_small_sets_are_seen_up_to_five_times(rows: int) -> None:
    recipe = Recipe.for_rows(rows)
    assert 2 <= recipe.epochs <= 5
    assert recipe.count_steps(rows) >= 12


def test_large_sets_are_seen_once() -> None:
    assert Recipe.for_rows(5000).epochs == 1


def test_a_users_own_numbers_go_before_the_recipes() -> None:
    recipe = Recipe.for_rows(96, epochs=3, batch_size=4, learning_rate_multiplier=0.5, seed=7).resolve(135_000_000)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.seed) == (3, 4, 3.5e-4, 7)
    assert recipe.count_steps(95) == 3 * 24


def test_larger_models_take_smaller_steps() -> None:
    assert Recipe().resolve(8_000_000_000).learning_rate == 2e-4


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
        {"recipe": {"method": "dpo"}},
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
