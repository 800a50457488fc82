"""The recipe for a job's rows within what engines serve, its reasons, and what its training will take."""

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.fine_tuning.estimate import Price, TrainingFigures, estimate_training, price_figures, summarise
from gateway.fine_tuning.recipe import RecipeBounds, apply_options, choose_recipe, explain_recipe, to_options
from gateway.fine_tuning.schemas import DpoHyperparameters, Hyperparameters, RecipeOptions
from training.spec import DEFAULT_BETA, Recipe

AUTO, WIDE = Hyperparameters(), RecipeBounds(64, None)


@pytest.mark.parametrize(
    ("options", "bounds", "param"),
    [
        ({"rank": 65}, WIDE, "rank"),
        ({"rank": 64}, WIDE, None),
        ({"rank": 8}, RecipeBounds(64, None, 16), "rank"),
        ({"rank": 16}, RecipeBounds(64, None, 16), None),
        ({}, RecipeBounds(64, None, 8), None),
        ({"max_length": 4097}, RecipeBounds(64, 4096), "max_length"),
        ({"max_length": 4096}, RecipeBounds(64, 4096), None),
        ({"max_length": 999_999}, WIDE, None),
        ({"learning_rate": 0.1}, WIDE, None),
    ],
)
def test_what_no_engine_could_serve_is_refused_by_its_name(
    options: dict[str, Any], bounds: RecipeBounds, param: str | None
) -> None:
    chosen = RecipeOptions(**options)
    if param is None:
        recipe = choose_recipe(AUTO, chosen, 100, bounds)
        assert {name: getattr(recipe, name) for name in options} == options
    else:
        with pytest.raises(BadRequest) as refused:
            choose_recipe(AUTO, chosen, 100, bounds)
        assert refused.value.param == f"braid.recipe.{param}"


def test_a_rate_and_a_multiplier_contradict_each_other() -> None:
    with pytest.raises(BadRequest, match="Give one of the two"):
        choose_recipe(Hyperparameters(learning_rate_multiplier=1.0), RecipeOptions(learning_rate=0.1), 100, WIDE)


@pytest.mark.parametrize(
    ("bounds", "rank", "max_length"),
    [
        (WIDE, 16, 2048),
        (RecipeBounds(8, None), 8, 2048),
        (RecipeBounds(64, 1024), 16, 1024),
        (RecipeBounds(64, 4096), 16, 2048),
        (RecipeBounds(64, None, 32), 32, 2048),
        (RecipeBounds(64, None, 4), 4, 2048),
    ],
)
def test_what_is_not_named_suits_the_engines_and_the_start(bounds: RecipeBounds, rank: int, max_length: int) -> None:
    recipe = choose_recipe(AUTO, RecipeOptions(), 100, bounds)
    assert (recipe.rank, recipe.max_length, recipe.method) == (rank, max_length, "sft")


def test_epochs_batches_and_beta_are_the_requests_where_it_names_them() -> None:
    recipe = choose_recipe(Hyperparameters(n_epochs=3, batch_size=4), RecipeOptions(), 100, WIDE)
    assert (recipe.epochs, recipe.batch_size, recipe.count_steps(100)) == (3, 4, 75)
    assert choose_recipe(Hyperparameters(batch_size=None), RecipeOptions(), 100, WIDE) == choose_recipe(
        AUTO, RecipeOptions(), 100, WIDE
    )
    preferences = choose_recipe(DpoHyperparameters(beta=0.3), RecipeOptions(), 100, WIDE)
    assert (preferences.method, preferences.beta) == ("dpo", 0.3)
    assert choose_recipe(DpoHyperparameters(), RecipeOptions(), 100, WIDE).beta == DEFAULT_BETA


def explain(request: Hyperparameters, **options: Any) -> dict[str, str]:
    chosen = RecipeOptions(**options)
    return explain_recipe(choose_recipe(request, chosen, 100, WIDE), request, chosen, 100, 135_000_000)


def test_each_number_has_its_reason() -> None:
    told = explain(AUTO)
    assert told["steps"].endswith(
        ": 100 rows are learnt best in about so many: few rows are seen often, many in larger batches"
    )
    assert told["n_epochs"].endswith("no row is seen more than 5 times")
    assert told["batch_size"] == "2: grows with the rows, from 2 to 8"
    assert told["learning_rate"] == "7e-4: what suits a base model of 135 million parameters"
    assert told["rank"] == "16: enough for a style, and engines here take it"
    assert told["max_length"] == "2048: longer rows are rare and cost memory"
    assert "beta" not in told


def test_what_the_request_says_is_told_as_such() -> None:
    told = explain(
        Hyperparameters(n_epochs=3, batch_size=4, learning_rate_multiplier=2.5),
        **{"rank": 8, "max_length": 512, "micro_batch_tokens": 64},
    )
    assert told["learning_rate"].endswith(", times 2.5 as the request says")
    assert told["steps"] == "75: so many have these epochs of these batches"
    named = {"n_epochs": 3, "batch_size": 4, "rank": 8, "max_length": 512, "micro_batch_tokens": 64}
    assert {name: told[name] for name in named} == {name: f"{n}: the request says so" for name, n in named.items()}
    assert explain(AUTO, learning_rate=0.1)["learning_rate"] == "0.1: the request says so"
    assert "learnt best" in explain(Hyperparameters(n_epochs=3))["steps"]
    assert "learnt best" in explain(Hyperparameters(batch_size=3))["steps"]
    preferences = explain(DpoHyperparameters())
    assert preferences["learning_rate"].startswith("7e-5: what suits a base model")
    assert preferences["beta"] == f"{DEFAULT_BETA}: lets replies change and keeps near the start"
    assert explain(DpoHyperparameters(beta=0.3))["beta"] == "0.3: the request says so"


def test_options_are_read_back_with_the_scale_of_their_rank() -> None:
    recipe = choose_recipe(AUTO, RecipeOptions(rank=8, quantization="nf4", learning_rate=0.1), 100, WIDE)
    read = apply_options(Recipe(), to_options(recipe))
    assert (read.rank, read.alpha, read.quantization, read.learning_rate) == (8, 16.0, "nf4", 0.1)


FIGURES = TrainingFigures(
    rows=10,
    tokens=1_000,
    trained_tokens=2_000,
    steps=5,
    tokens_per_second=100.0,
    seconds=50.0,
    other_seconds=30.0,
    token_bytes=4.0,
)


@pytest.mark.parametrize(
    ("tokens", "seconds", "line"),
    [
        (999, 89.4, "999 tokens, about 89 s"),
        (1_000, 90.0, "1 k tokens, about 2 min"),
        (99_999, 5_399.0, "100 k tokens, about 90 min"),
        (100_000, 5_400.0, "0.1 M tokens, about 1.5 h"),
        (1, 0.2, "1 tokens, about 1 s"),
    ],
)
def test_figures_are_told_in_a_unit_of_their_size(tokens: int, seconds: float, line: str) -> None:
    figures = msgspec.structs.replace(FIGURES, trained_tokens=tokens, seconds=seconds)
    assert summarise(figures, Price(None, "EUR")) == f"10 rows: {line}"


def test_a_guess_counts_the_bytes_of_its_method_and_what_is_around_the_steps() -> None:
    replies = estimate_training(Recipe(epochs=2, batch_size=5), 10, 4_500, [])
    assert (replies.tokens, replies.trained_tokens, replies.steps) == (1_000, 2_000, 4)
    assert replies.seconds == 2_000 / 200 + 60
    pairs = estimate_training(Recipe(epochs=2, batch_size=5, method="dpo"), 10, 4_500, [])
    assert pairs.tokens == 1_800
    cut = estimate_training(Recipe(epochs=2, batch_size=5, steps=3), 10, 4_500, [])
    assert cut.trained_tokens == 1_500, "the last epoch ends with the steps"


def test_a_price_is_that_of_the_whole_time() -> None:
    shown = price_figures(FIGURES, Price(7.2, "USD"), basis="measured")
    assert (shown["cost"], shown["currency"], shown["basis"]) == (0.1, "USD", "measured")
    assert shown["summary"] == "10 rows: 2 k tokens, about 50 s, about 0.10 USD"
