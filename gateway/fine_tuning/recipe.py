"""The recipe of a job: what its owner asked for within what engines serve, and for the rest what suits its rows."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.fine_tuning.estimate import describe_rows
from gateway.fine_tuning.schemas import DpoHyperparameters, Hyperparameters, RecipeOptions
from training.spec import Recipe, choose_rate

__all__ = ["RecipeBounds", "apply_options", "choose_recipe", "explain_recipe", "to_options"]

_OPTIONS = ("rank", "max_length", "micro_batch_tokens", "learning_rate", "quantization")
_ALPHA_PER_RANK = 2.0  # so that the update has one scale, and a learning rate means the same, at every rank


@dataclass(frozen=True, slots=True)
class RecipeBounds:
    """The bounds of what can be served.

    Attributes:
        max_rank: The largest rank that engines take.
        max_model_len: Their context in tokens; None while no engine has said it.
        start_rank: The rank of the adapter that is trained on from; None without one.
        parameters: Of the base model; None where only workers know.
    """

    max_rank: int
    max_model_len: int | None
    start_rank: int | None = None
    parameters: int | None = None


def choose_recipe(request: Hyperparameters, options: RecipeOptions, rows: int, bounds: RecipeBounds) -> Recipe:
    """Return the recipe for so many rows.

    Raises:
        BadRequest: No engine could serve what it would make, or two of the numbers contradict each other.
    """
    if options.rank is not None and options.rank > bounds.max_rank:
        raise _refuse(
            "rank",
            f"The rank {options.rank} is over the {bounds.max_rank} that engines here take. Ask for less, or have the "
            "operator raise max_lora_rank.",
        )
    if bounds.start_rank is not None and options.rank not in (None, bounds.start_rank):
        raise _refuse(
            "rank",
            f"The adapter that is trained on has the rank {bounds.start_rank}, and keeps it. Leave the rank out.",
        )
    longest = bounds.max_model_len
    if options.max_length is not None and longest is not None and options.max_length > longest:
        raise _refuse(
            "max_length",
            f"Rows of {options.max_length} tokens are longer than the {longest} that engines here read. Ask for less: "
            "longer rows would teach what can't be served.",
        )
    if options.learning_rate is not None and request.learning_rate_multiplier != "auto":
        raise _refuse(
            "learning_rate", "There is a learning_rate_multiplier too. Give one of the two, and leave the other."
        )
    recipe = Recipe.for_rows(
        rows,
        epochs=None if request.n_epochs == "auto" else request.n_epochs,
        batch_size=None if request.batch_size in ("auto", None) else request.batch_size,
        method="dpo" if isinstance(request, DpoHyperparameters) else "sft",
    )
    if isinstance(request, DpoHyperparameters) and request.beta != "auto":
        recipe = msgspec.structs.replace(recipe, beta=request.beta)
    overrides = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    defaults = {
        "rank": min(recipe.rank, bounds.max_rank) if bounds.start_rank is None else bounds.start_rank,
        "max_length": min(recipe.max_length, longest or recipe.max_length),
    }
    return msgspec.structs.replace(recipe, **(defaults | overrides))


def explain_recipe(
    recipe: Recipe,
    request: Hyperparameters,
    options: RecipeOptions,
    rows: int,
    parameters: int | None,
    rehearsal: int = 0,
) -> dict[str, str]:
    """Return why each number of a run is what it is.

    Args:
        recipe: Of the run.
        request: What its owner asked for.
        options: The same.
        rows: All that are learnt.
        parameters: See `RecipeBounds`.
        rehearsal: The base's own answers among the rows.
    """
    sizes_batches, counts_epochs = request.batch_size in ("auto", None), request.n_epochs == "auto"
    reasons = {
        "steps": f"{describe_rows(rows, rehearsal)} are learnt best in about so many: few rows are seen often, many in "
        "larger batches"
        if sizes_batches or counts_epochs
        else "so many have these epochs of these batches",
        "n_epochs": "so many passes have these steps; no row is seen more than 5 times" if counts_epochs else None,
        "batch_size": "grows with the rows, from 2 to 8" if sizes_batches else None,
        "learning_rate": _explain_rate(recipe, request, parameters) if options.learning_rate is None else None,
        "rank": "enough for a style, and engines here take it" if options.rank is None else None,
        "max_length": "longer rows are rare and cost memory" if options.max_length is None else None,
        "micro_batch_tokens": "bounds memory, changes nothing else" if options.micro_batch_tokens is None else None,
    }
    if isinstance(request, DpoHyperparameters):
        reasons["beta"] = "lets replies change and keeps near the start" if request.beta == "auto" else None
    numbers = {
        "beta": recipe.beta,
        "steps": recipe.count_steps(rows),
        "n_epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate": options.learning_rate,
    } | {name: getattr(recipe, name) for name in ("rank", "max_length", "micro_batch_tokens")}
    texts = {name: reason or "the request says so" for name, reason in reasons.items()}
    return {name: text if numbers[name] is None else f"{numbers[name]}: {text}" for name, text in texts.items()}


def _explain_rate(recipe: Recipe, request: Hyperparameters, parameters: int | None) -> str:
    factor = request.learning_rate_multiplier
    multiplier = 1.0 if factor == "auto" else factor
    size = "the base model's size, which only workers know here"
    if parameters is not None:
        rate = choose_rate(parameters, recipe.method)
        size = f"{_show(rate * multiplier)}: what suits a base model of {_count(parameters)} parameters"
    tenth = "" if recipe.method == "sft" else ", a tenth of what replies are learnt with"
    return size + tenth + ("" if factor == "auto" else f", times {factor} as the request says")


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:,.0f} million" if parameters >= 1_000_000 else "less than a million"


def _show(rate: float) -> str:
    mantissa, exponent = f"{rate:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def to_options(recipe: Recipe) -> dict[str, Any]:
    """Return the part of a recipe that a job shows as `braid.recipe`."""
    return {name: getattr(recipe, name) for name in _OPTIONS}


def apply_options(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    """Return the recipe with what `to_options` returned of another."""
    own = msgspec.structs.replace(recipe, **options)
    return msgspec.structs.replace(own, alpha=_ALPHA_PER_RANK * own.rank)


def _refuse(name: str, message: str) -> BadRequest:
    return BadRequest(message, param=f"braid.recipe.{name}", code="invalid_recipe")
