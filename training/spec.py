"""What a training run is asked to do."""

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from training.errors import TrainingError
from training.rendered_rows import RowsFile

MINIMUM_ROWS = 10
"""Fewer rows than this are refused: the adapter would learn them by heart and nothing else."""

COMFORTABLE_ROWS = 50
"""From here on style is learnt reliably; fewer rows train with a warning."""

_SMALL_MODEL = 1_000_000_000
_SEEN_ROWS = 192

Count = Annotated[int, Meta(ge=1)]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of a run.

    Attributes:
        rank: Of the LoRA matrices; vLLM serves up to 16 unless it was started for more.
        alpha: The update is scaled by `alpha / rank`.
        target_modules: `all-linear`, or names such as `q_proj`. All linear layers learn better than attention alone.
        learning_rate: None takes one that suits the model's size, see `resolved`.
        learning_rate_multiplier: On top of either.
        warmup_share: Of the steps, in which the rate rises; it falls along a cosine afterwards.
        batch_size: Rows an optimizer step.
        micro_batch_tokens: Padded tokens that go through the model at once. It bounds memory (about 4 MiB a token on
            the 135M model in float32) and changes nothing else: a step's loss and gradient are sums over its rows.
        max_length: Tokens of a row; longer ones are dropped and reported, never cut.
        max_gradient_norm: Gradients are scaled down to this norm.
    """

    method: Literal["sft"] = "sft"
    rank: Annotated[int, Meta(ge=1, le=512)] = 16
    alpha: Annotated[float, Meta(gt=0)] = 32.0
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    learning_rate_multiplier: Annotated[float, Meta(gt=0)] = 1.0
    warmup_share: Annotated[float, Meta(ge=0, le=1)] = 0.1
    epochs: Count = 1
    batch_size: Count = 8
    micro_batch_tokens: Count = 2048
    max_length: Count = 2048
    max_gradient_norm: Annotated[float, Meta(gt=0)] = 1.0
    seed: int = 0

    @classmethod
    def for_rows(
        cls,
        rows: int,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate_multiplier: float | None = None,
        seed: int | None = None,
    ) -> "Recipe":
        """The recipe that suits a number of rows; what is given by name goes before it.

        96 rows, twice, in steps of 2 gave the 135M model its style and taught it to read passages: 16 of one tenant's
        held-out questions were answered right out of 16, where rows like them in steps of 4 (at 1e-3) gave 12 to 14.
        Fewer rows are shown more often, until about as many have been seen, but not beyond 5 times, where they are
        recited rather than learnt. Hundreds of rows make steps enough by themselves, and larger batches then cost less.
        """
        return cls(
            epochs=min(5, math.ceil(_SEEN_ROWS / max(rows, 1))) if epochs is None else epochs,
            batch_size=(2 if rows <= _SEEN_ROWS else 8) if batch_size is None else batch_size,
            learning_rate_multiplier=1.0 if learning_rate_multiplier is None else learning_rate_multiplier,
            seed=0 if seed is None else seed,
        )

    def resolved(self, parameters: int) -> "Recipe":
        """The same recipe with its learning rate as a number, for a base model of that many parameters."""
        rate = self.learning_rate or (7e-4 if parameters < _SMALL_MODEL else 2e-4)
        return msgspec.structs.replace(
            self, learning_rate=rate * self.learning_rate_multiplier, learning_rate_multiplier=1.0
        )

    def steps(self, rows: int) -> int:
        """Optimizer steps over all epochs; each epoch's last batch may be smaller."""
        return math.ceil(rows / self.batch_size) * self.epochs


class TrainSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A run: which rows, on which model, how.

    Attributes:
        base_model: The checkpoint folder.
        base_name: The base's public name, written into the adapter; None takes the folder's name.
        rows: A file that `training.rendered_rows` describes.
        validation_rows: Another one, measured after each epoch.
    """

    base_model: str
    rows: RowsFile
    recipe: Recipe
    base_name: str | None = None
    validation_rows: RowsFile | None = None


def read_spec(file: Path) -> TrainSpec:
    """Reads a spec from JSON.

    Raises:
        TrainingError: `invalid_spec`.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=TrainSpec)
    except (OSError, msgspec.MsgspecError) as error:
        raise TrainingError("invalid_spec", f"The spec {file} cannot be used: {error}. See training.spec.") from error
