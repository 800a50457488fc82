"""The tokens, time and cost of a training: estimated before it, measured after it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.counts import format_count
from gateway.settings import Settings
from training.spec import Recipe

__all__ = [
    "Price",
    "TrainingFigures",
    "describe_rows",
    "estimate_training",
    "price_figures",
    "read_price",
    "summarise",
]

_GUESSED_RATE = 200.0  # what the packaged 135M model takes on two calm cores
_GUESSED_TOKEN_BYTES = 4.5  # of JSON lines with English in them
_GUESSED_PAIR_BYTES = 2.5  # of preferences: their prompt stands in a line once, and goes through the model twice
_GUESSED_OTHER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Price:
    """The price of an hour of training, as the operator set it; none where it is None."""

    per_hour: float | None
    currency: str


def read_price(settings: Settings) -> Price:
    """Return the price that the operator set."""
    return Price(settings.training_price_per_hour, settings.training_currency)


class TrainingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a training, estimated or measured.

    Attributes:
        rows: Rows to train on, the base's own answers among them.
        tokens: Tokens of all rows, each row counted once.
        trained_tokens: Tokens that go through the model over all epochs.
        steps: Optimizer steps.
        tokens_per_second: Of the steps alone.
        seconds: All of the training.
        other_seconds: The part of those in which the model is loaded, validated and proven.
        token_bytes: Bytes of the rendered rows per token.
    """

    rows: int
    tokens: int
    trained_tokens: int
    steps: int
    tokens_per_second: float
    seconds: float
    other_seconds: float
    token_bytes: float


def estimate_training(recipe: Recipe, rows: int, size: int, earlier: Sequence[TrainingFigures]) -> TrainingFigures:
    """Estimate a training from earlier ones of the same base model; without any, from a guess.

    Args:
        recipe: Decides how often rows are seen.
        rows: Rows to train on.
        size: Bytes of the rendered rows.
        earlier: Measured, the newest first.
    """
    token_bytes = _GUESSED_PAIR_BYTES if recipe.method == "dpo" else _GUESSED_TOKEN_BYTES
    rate, other = _GUESSED_RATE, _GUESSED_OTHER_SECONDS
    if earlier:
        token_bytes = statistics.median(one.token_bytes for one in earlier)
        rate = statistics.median(one.tokens_per_second for one in earlier)
        other = statistics.median(one.other_seconds for one in earlier)
    steps, batches = recipe.count_steps(rows), math.ceil(rows / recipe.batch_size)
    tokens = round(size / token_bytes)
    tokens_in_all = round(tokens * min(recipe.epochs, steps / batches))
    return TrainingFigures(
        rows=rows,
        tokens=tokens,
        trained_tokens=tokens_in_all,
        steps=steps,
        tokens_per_second=round(rate, 1),
        seconds=round(tokens_in_all / rate + other, 1),
        other_seconds=round(other, 1),
        token_bytes=round(token_bytes, 3),
    )


def price_figures(figures: TrainingFigures, price: Price, *, basis: str, rehearsal: int = 0) -> dict[str, Any]:
    """Return what a job shows of its figures.

    Args:
        figures: Of all its rows.
        price: Of an hour.
        basis: Where the figures are from.
        rehearsal: The base's own answers among the rows.
    """
    cost = None if price.per_hour is None else round(price.per_hour * figures.seconds / 3600, 4)
    members = {
        "rows": figures.rows - rehearsal,
        "rehearsal": rehearsal,
        "tokens": figures.tokens,
        "trained_tokens": figures.trained_tokens,
        "steps": figures.steps,
        "tokens_per_second": figures.tokens_per_second,
        "seconds": figures.seconds,
        "cost": cost,
        "currency": None if cost is None else price.currency,
        "basis": basis,
    }
    return {**members, "summary": summarise(figures, price, rehearsal)}


def describe_rows(rows: int, rehearsal: int) -> str:
    """Return the number of all rows, of which `rehearsal` are the base's own answers, as messages have it."""
    own = format_count(rows - rehearsal, "row")
    return f"{own} and {rehearsal} of the base's own" if rehearsal else own


def summarise(figures: TrainingFigures, price: Price, rehearsal: int = 0) -> str:
    """Return the figures as a line for people: `5,000 rows: 0.9 M tokens, about 12 min, about 0.60 EUR`."""
    parts = [f"{_count(figures.trained_tokens)} tokens", f"about {_duration(figures.seconds)}"]
    if price.per_hour is not None:
        parts.append(f"about {price.per_hour * figures.seconds / 3600:.2f} {price.currency}")
    return f"{describe_rows(figures.rows, rehearsal)}: {', '.join(parts)}"


def _count(number: int) -> str:
    if number >= 100_000:
        return f"{number / 1e6:.1f} M"
    return f"{number:,}" if number < 1_000 else f"{number / 1e3:.0f} k"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
