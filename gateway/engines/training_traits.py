"""The traits of a base model that tell, before a worker takes it, whether a training job can succeed."""

from pathlib import Path
from typing import Any

import msgspec

from training.chat_format import read_chat_format
from training.checkpoint import check_trainable, count_parameters
from training.errors import TrainingError

__all__ = ["TrainingRefusal", "TrainingTraits", "read_training_traits"]


class TrainingRefusal(msgspec.Struct, frozen=True):
    """The reason why nothing can be learnt on a base; `code` is the trainer's, `message` may have paths in it."""

    code: str
    message: str


class TrainingTraits(msgspec.Struct, frozen=True, kw_only=True):
    """The traits of one base.

    Attributes:
        parameters: The number of its weights; None where it is refused before they are counted.
        needs_system: Rows without a system text would have the day's date in them, see `ChatFormat`.
        variables: `chat_template_kwargs` of a job that is made now; None where that depends on the day.
        refusal: None where jobs can be made.
    """

    parameters: int | None = None
    needs_system: bool = False
    variables: dict[str, Any] | None = None
    refusal: TrainingRefusal | None = None


def read_training_traits(directory: Path) -> TrainingTraits:
    """Read them from a checkpoint's folder; what is damaged there is a refusal."""
    try:
        check_trainable(directory)
        format = read_chat_format(directory)
        parameters = count_parameters(directory)
    except TrainingError as error:
        return TrainingTraits(refusal=TrainingRefusal(error.code, error.message))
    return TrainingTraits(parameters=parameters, needs_system=format.needs_system, variables=format.variables)
