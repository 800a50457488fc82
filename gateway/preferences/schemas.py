from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.comparisons.sides import Side
from gateway.evals.criteria import ModelName
from gateway.fine_tuning.schemas import DpoHyperparameters, FactsOptions, FineTuningJob, RecipeOptions
from gateway.optional_members import NullsLeftOut
from gateway.vector_stores.schemas import Metadata

__all__ = [
    "ComparisonDatasetCreate",
    "ComparisonFineTune",
    "FeedbackDatasetCreate",
    "FeedbackFineTune",
    "PreferenceDataset",
    "PreferenceDatasetCreate",
    "PreferenceTraining",
    "TrainingOptions",
]


class PreferenceDatasetCreate(NullsLeftOut):
    """The agreement that makes a pair of two replies, and the share of pairs that isn't trained on.

    A pair takes `min_votes` votes, `min_agreement` of them for the same reply; with `corrections`, replies that voters
    wrote are better ones of pairs too. `seed` draws the conversations to be held out.
    """

    model_config = ConfigDict(extra="forbid")

    min_votes: Annotated[int, Field(ge=1, le=100)] = 2
    min_agreement: Annotated[float, Field(gt=0.5, le=1, allow_inf_nan=False)] = 0.66
    corrections: bool = True
    held_out: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.1
    seed: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] = 0


class ComparisonDatasetCreate(PreferenceDatasetCreate):
    """`side` is the one that is to learn: rows are held against its prompts, and rendered with its release's."""

    side: Side = "b"


class FeedbackDatasetCreate(PreferenceDatasetCreate):
    """`release` (`name@number`) is to learn, from feedback on answers of its assistant; without it, on models' own.

    The votes of a pair have to be sent with `min_keys` keys: a key names its voters as it likes.
    """

    min_keys: Annotated[int, Field(ge=1, le=100)] = 1
    release: ModelName | None = None


class TrainingOptions(NullsLeftOut):
    """The rest of a fine-tuning job; `model` is trained on from, by default the release's adapter, or the base."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    hyperparameters: DpoHyperparameters = DpoHyperparameters()
    recipe: RecipeOptions | None = None
    facts: FactsOptions | None = None
    metadata: Metadata | None = None


class ComparisonFineTune(ComparisonDatasetCreate, TrainingOptions):
    """A job that learns a comparison's votes: the wishes for its rows and for its training."""


class FeedbackFineTune(FeedbackDatasetCreate, TrainingOptions):
    """A job that learns votes on answers: the wishes for its rows and for its training."""


class PreferenceDataset(BaseModel):
    """Files of preferences in OpenAI's rows: `training` and `held_out` pairs, which share no conversation.

    `voted` of the pairs are by votes on two answers, `corrected` have a reply that a voter wrote. `left_out` counts
    what made no pair, by reason. `prompt` is the one that the rows are to be rendered with, and `other_prompt` the
    number of pairs of which an answer had another one. In feedback `voters` are the names that votes were sent under,
    and `keys` the keys that sent them.
    """

    object: Literal["preference_dataset"] = "preference_dataset"
    training_file: str
    validation_file: str | None
    training: int
    held_out: int
    voted: int
    corrected: int
    other_prompt: int
    voters: int | None
    keys: int | None
    left_out: dict[str, int]
    model: str
    prompt: str | None


class PreferenceTraining(BaseModel):
    """A dataset, and the fine-tuning job that learns it."""

    object: Literal["preference_training"] = "preference_training"
    dataset: PreferenceDataset
    job: FineTuningJob
