"""OpenAI's fine-tuning objects, with Braid's one extra object `braid`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "CheckpointList",
    "CheckpointShown",
    "EventList",
    "EventShown",
    "Hyperparameters",
    "JobBraid",
    "JobList",
    "JobRequest",
    "JobShown",
    "Method",
    "MethodShown",
]

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
Auto = Literal["auto"]


class Hyperparameters(BaseModel):
    """Each is a number, or `auto`: what suits the number of rows."""

    n_epochs: Auto | Annotated[int, Field(strict=True, ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(strict=True, ge=1, le=256)] | None = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(strict=True, gt=0, le=100, allow_inf_nan=False)] = "auto"


class Supervised(BaseModel):
    hyperparameters: Hyperparameters | None = None


class Method(BaseModel):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None


class JobBraid(BaseModel):
    """`prompt` is the `name@version` that the rows are rendered with: take the one that the release will have."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = None


class JobRequest(BaseModel):
    """A request for a job. `hyperparameters` at the top is OpenAI's old place for them."""

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    metadata: Metadata | None = None
    integrations: list[dict[str, Any]] | None = None
    braid: JobBraid | None = None


class JobError(BaseModel):
    code: str
    message: str
    param: str | None


class SupervisedShown(BaseModel):
    hyperparameters: dict[str, Any]


class MethodShown(BaseModel):
    type: Literal["supervised"] = "supervised"
    supervised: SupervisedShown


class JobShown(BaseModel):
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    id: str
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: str
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    seed: int
    suffix: str | None
    hyperparameters: dict[str, Any]
    method: MethodShown
    metadata: dict[str, str]
    integrations: list[dict[str, Any]]
    error: JobError | None
    braid: JobBraid


class JobList(BaseModel):
    object: Literal["list"] = "list"
    data: list[JobShown]
    has_more: bool


class EventShown(BaseModel):
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: str
    type: str
    message: str
    data: dict[str, Any]


class EventList(BaseModel):
    object: Literal["list"] = "list"
    data: list[EventShown]
    has_more: bool


class CheckpointShown(BaseModel):
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: dict[str, float]


class CheckpointList(BaseModel):
    object: Literal["list"] = "list"
    data: list[CheckpointShown]
    first_id: str | None
    last_id: str | None
    has_more: bool
