"""The start of a run that trains on from an adapter: its folder, judged, and the parts of the recipe that it sets."""

from pathlib import Path

import msgspec

from training.errors import TrainingError
from training.manifest import CONFIG_FILE
from training.spec import Recipe
from training.verdict import BaseShape, judge
from training.verdict.config import AdapterConfig

__all__ = ["adopt_start"]


def adopt_start(recipe: Recipe, start: Path, base: BaseShape) -> Recipe:
    """Return the recipe with the rank, the scale and the targets of the adapter that a run starts from.

    Raises:
        TrainingError: `start_unusable`: its folder isn't an adapter for this base, or of another rank than the recipe.
    """
    verdict = judge(start, base, max_rank=recipe.rank)
    if not verdict.ok:
        reasons = " ".join(reason.message for reason in verdict.reasons)
        raise TrainingError("start_unusable", f"The adapter to start from can't be trained on. {reasons}")
    config = msgspec.json.decode((start / CONFIG_FILE).read_bytes(), type=AdapterConfig)
    if config.r != recipe.rank:
        message = f"The adapter to start from has the rank {config.r}, and the recipe {recipe.rank}. Give it the same."
        raise TrainingError("start_unusable", message)
    targets = config.target_modules if isinstance(config.target_modules, list) else "all-linear"
    # One scale, however its config writes it.
    return msgspec.structs.replace(recipe, alpha=config.scale * config.r, target_modules=targets)
