"""The specification of a training run: its base model, its rows, its recipe."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from training.errors import TrainingError
from training.rendered_rows import RowPrompt, RowsFile

__all__ = [
    "COMFORTABLE_ROWS",
    "DEFAULT_BETA",
    "MINIMUM_ROWS",
    "Recipe",
    "TrainSpec",
    "choose_rate",
    "choose_steps",
    "read_spec",
]

MINIMUM_ROWS = 10
"""Fewer rows than this are refused: the adapter would learn them by heart and nothing else."""

COMFORTABLE_ROWS = 50
"""From here on style is learnt reliably; fewer rows train with a warning."""

DEFAULT_BETA = 0.1
"""The `beta` of DPO's paper."""

_DEFAULT_ANCHOR = 1.0
"""With it, 32 pairs were learnt by likelihood and in what is generated; without it, only by likelihood."""

_SMALL_MODEL, _LARGE_MODEL = 135_000_000, 1_000_000_000
_SMALL_RATE, _LARGE_RATE = 7e-4, 2e-4
_FEWEST_STEPS, _STYLE_STEPS = 25, 96
_SEEN_ROWS = 192
_MOST_EPOCHS = 5
_MOST_BATCH = 8
_PREFERENCE_SHARE = 0.1  # of the rate at which replies are learnt: a preference is a push, and at more it breaks words

_Count = Annotated[int, Meta(ge=1)]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hyperparameters of a run.

    Attributes:
        method: `sft` learns replies; `dpo` learns from pairs of a better reply and a worse one.
        beta: Of `dpo`: how dear it is to leave the start; a reward is `beta` times the gain in log-probability over it.
        anchor: Of `dpo`: the weight of the better reply's own loss per token beside that of the pair (Pang et al. 2024,
            "Iterative Reasoning Preference Optimization"). A pair alone tells nothing of words that both replies have:
            they get less likely together, and then sentences never end. 0 is plain DPO.
        rank: The LoRA matrices' rank; vLLM serves up to 16 unless it was started for more.
        alpha: The update is scaled by `alpha / rank`.
        target_modules: `all-linear`, or names such as `q_proj`. All linear layers learn better than attention alone.
        learning_rate: None takes one that suits the model's size, see `resolve`.
        learning_rate_multiplier: A factor on either.
        warmup_share: The share of the steps in which the rate rises; it falls along a cosine afterwards.
        epochs: Passes over the rows.
        batch_size: Rows per optimizer step, or one fewer where `steps` says so.
        steps: Optimizer steps; None for whole epochs of whole batches. With fewer than these the last epoch ends early;
            with more the rows of each epoch are dealt evenly over so many batches.
        micro_batch_tokens: Padded tokens that go through the model at once. The limit bounds memory (about 4 MiB per
            token on the 135M model in float32) and changes nothing else: a step's loss and gradient are sums over its
            rows.
        max_length: Most tokens per row; longer rows are dropped and reported, never cut.
        max_gradient_norm: Gradients are scaled down to this norm.
        quantization: `nf4` trains on a base whose linear layers take 4 bits per number, see `training.quantization`.
            The adapter is served on the base as it is, to which it fits a little less.
    """

    method: Literal["sft", "dpo"] = "sft"
    beta: Annotated[float, Meta(gt=0, le=2)] = DEFAULT_BETA
    anchor: Annotated[float, Meta(ge=0)] = _DEFAULT_ANCHOR
    rank: Annotated[int, Meta(ge=1, le=512)] = 16
    alpha: Annotated[float, Meta(gt=0)] = 32.0
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    learning_rate_multiplier: Annotated[float, Meta(gt=0)] = 1.0
    warmup_share: Annotated[float, Meta(ge=0, le=1)] = 0.1
    epochs: _Count = 1
    batch_size: _Count = 8
    steps: _Count | None = None
    micro_batch_tokens: _Count = 2048
    max_length: _Count = 2048
    max_gradient_norm: Annotated[float, Meta(gt=0)] = 1.0
    seed: int = 0
    quantization: Literal["nf4"] | None = None

    @classmethod
    def for_rows(
        cls,
        rows: int,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate_multiplier: float | None = None,
        seed: int | None = None,
        method: Literal["sft", "dpo"] = "sft",
    ) -> "Recipe":
        """Return the recipe that suits a number of rows; arguments by name go before it.

        Epochs follow from a number of steps, see `choose_steps`, and the last one ends when they are done. Batches grow
        with the rows, so that each row is seen at least once. Where the caller says how many epochs, they are whole;
        where not how large batches are, too, an epoch has the steps of `choose_steps`, but batches of 2 or more.

        Two neighbouring numbers of rows differ by at most a tenth in steps, rounded up, or by a step per epoch. Where
        both epochs and batches are the caller's there is no choice left: the steps are the fewest that there can be.
        """
        rows = max(rows, 1)
        steps = choose_steps(rows)
        if epochs is None:
            batch_size = batch_size or min(_MOST_BATCH, max(2, math.ceil(rows / steps)))
            per_epoch = math.ceil(rows / batch_size)
            steps = max(per_epoch, min(steps, math.ceil(rows * _MOST_EPOCHS / batch_size)))
            epochs = math.ceil(steps / per_epoch)
        elif batch_size is None:
            per_epoch = min(steps, math.ceil(rows / 2))
            batch_size = math.ceil(rows / per_epoch)
            steps = epochs * per_epoch
        else:
            steps = None
        return cls(
            epochs=epochs,
            batch_size=batch_size,
            steps=steps,
            learning_rate_multiplier=1.0 if learning_rate_multiplier is None else learning_rate_multiplier,
            seed=0 if seed is None else seed,
            method=method,
        )

    def resolve(self, parameters: int) -> "Recipe":
        """Return the same recipe with its learning rate as a number, for a base model of that many parameters."""
        rate = self.learning_rate or choose_rate(parameters, self.method)
        return msgspec.structs.replace(
            self, learning_rate=rate * self.learning_rate_multiplier, learning_rate_multiplier=1.0
        )

    def count_steps(self, rows: int) -> int:
        """Return the optimizer steps over all epochs; each epoch's last batch may be smaller."""
        batches = math.ceil(rows / self.batch_size)
        if self.steps is None:
            return batches * self.epochs
        most = max(batches, rows // max(self.batch_size - 1, 1))
        return min(self.steps, most * self.epochs)


def choose_rate(parameters: int, method: Literal["sft", "dpo"] = "sft") -> float:
    """Return the learning rate that suits a base model of so many parameters, to three digits.

    It is 7e-4 up to 135 million, where it was measured, 2e-4 from a billion on, and falls between them as a power of
    the size. The best rate of a LoRA falls with the base's width and hardly depends on the rank or the number of rows
    ("LoRA Without Regret", 2025: ten times that of full fine-tuning, and only below some hundred steps a little more),
    which choose the steps. Preferences take a tenth.
    """
    share = _PREFERENCE_SHARE if method == "dpo" else 1.0
    if parameters >= _LARGE_MODEL:
        return _round(share * _LARGE_RATE)
    place = math.log(max(parameters, _SMALL_MODEL) / _SMALL_MODEL) / math.log(_LARGE_MODEL / _SMALL_MODEL)
    return _round(share * _SMALL_RATE * (_LARGE_RATE / _SMALL_RATE) ** place)


def _round(rate: float) -> float:
    return float(f"{rate:.2e}")


def choose_steps(rows: int) -> int:
    """Return the optimizer steps that suit a number of rows, at least `MINIMUM_ROWS`.

    96 rows, twice, in steps of 2 gave the 135M model its style and taught it to read passages: 16 of one tenant's
    held-out questions were answered right out of 16, where rows like them in steps of 4 (at 1e-3) gave 12 to 14. Fewer
    rows are shown more often, until about as many have been seen, but not beyond 5 times, where they are recited rather
    than learnt. More rows make more steps slowly, as larger batches cost less, and from about 1,500 on each is seen
    once, in steps of 8. Two neighbouring numbers of rows never differ by more than a tenth.
    """
    if rows <= _SEEN_ROWS:
        return min(_STYLE_STEPS, _FEWEST_STEPS + 9 * max(rows - MINIMUM_ROWS, 0) // 4)
    return max(_STYLE_STEPS + (rows - _SEEN_ROWS) // 14, math.ceil(rows / _MOST_BATCH))


class TrainSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run of the trainer.

    Attributes:
        base_model: The checkpoint folder.
        rows: A file that `training.rendered_rows` describes.
        start: The folder of an adapter that is trained on from, of the same base; None begins with an untrained one.
        base_name: The base's public name, written into the adapter; None takes the folder's name.
        validation_rows: Another file of rows, measured after each epoch.
        chat_template_kwargs: Values of the chat template's own names, as each request for the adapter will have them;
            None takes those that the template asks for today, see `training.chat_format`.
        prompt: The prompt that the rows were rendered with, for the manifest.
    """

    base_model: str
    rows: RowsFile
    recipe: Recipe
    start: str | None = None
    base_name: str | None = None
    validation_rows: RowsFile | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    prompt: RowPrompt | None = None


def read_spec(file: Path) -> TrainSpec:
    """Read a spec from JSON.

    Raises:
        TrainingError: `invalid_spec`.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=TrainSpec)
    except (OSError, msgspec.MsgspecError) as error:
        raise TrainingError("invalid_spec", f"The spec {file} can't be used: {error}. See training.spec.") from error
