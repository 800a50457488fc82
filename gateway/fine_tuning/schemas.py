"""OpenAI's fine-tuning objects, with Braid's one extra object `braid`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.adapters.schemas import WrittenRowCount
from gateway.fine_tuning.tables import EventRow
from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.prompts.variables import Variables
from gateway.vector_stores.schemas import Metadata

__all__ = [
    "DpoHyperparameters",
    "DpoMethod",
    "DpoMethodCreate",
    "EvidenceFigures",
    "EvidenceOptions",
    "FactsOptions",
    "FineTuningBraidOptions",
    "FineTuningJob",
    "FineTuningJobBraid",
    "FineTuningJobCheckpoint",
    "FineTuningJobCheckpointList",
    "FineTuningJobCreate",
    "FineTuningJobEvent",
    "FineTuningJobEventList",
    "FineTuningJobList",
    "FineTuningMethodCreate",
    "Hyperparameters",
    "JobError",
    "MethodFigures",
    "RecipeOptions",
    "SupervisedMethod",
    "TrainingCost",
    "to_event",
]

Auto = Literal["auto"]


class Hyperparameters(NullsLeftOut):
    """Each is a number, or `auto`: what suits the number of rows. A misspelt name would cost a whole training."""

    model_config = ConfigDict(extra="forbid")

    n_epochs: Auto | Annotated[int, Field(strict=True, ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(strict=True, ge=1, le=256)] | None = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(strict=True, gt=0, le=100, allow_inf_nan=False)] = "auto"


class DpoHyperparameters(Hyperparameters):
    """`beta` is how dear it is to leave the model of the start: the more, the nearer to it."""

    beta: Auto | Annotated[float, Field(strict=True, gt=0, le=2, allow_inf_nan=False)] = "auto"


class SupervisedMethodCreate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    hyperparameters: Hyperparameters | None = None


class DpoMethodCreate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    hyperparameters: DpoHyperparameters | None = None


class FineTuningMethodCreate(NullsLeftOut):
    """A method with its numbers, which stand under its own name; `reinforcement` is taken to be refused in words."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: SupervisedMethodCreate | None = None
    dpo: DpoMethodCreate | None = None
    reinforcement: dict[str, Any] | None = None


class RecipeOptions(NullsLeftOut):
    """Numbers of the run; what isn't given suits the base model and the engines.

    `rank` is the adapter's. Rows of more tokens than `max_length` are left out and reported. `micro_batch_tokens` is
    the most that goes through the model at once, which bounds memory and changes nothing else. `learning_rate` is a
    number instead of a multiplier. `quantization` trains on a base whose linear layers take 4 bits per number (QLoRA).
    """

    model_config = ConfigDict(extra="forbid")

    rank: Annotated[int, Field(strict=True, ge=1, le=512)] | None = None
    max_length: Annotated[int, Field(strict=True, ge=64, le=1_000_000)] | None = None
    micro_batch_tokens: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    learning_rate: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] | None = None
    quantization: Literal["nf4"] | None = None


class FactsOptions(NullsLeftOut):
    """The stores in which the facts of the rows are looked up before they are trained on.

    Values that documents have changed fail the job, unless it is `force`d; its events say so. A job whose rows get
    `evidence` looks in the stores of that, unless it names others here.
    """

    model_config = ConfigDict(extra="forbid")

    vector_stores: Annotated[list[str], Field(min_length=1, max_length=10)]
    force: bool = False


class EvidenceOptions(NullsLeftOut):
    """The stores in which each row's passages are searched, as a release with these stores searches for them.

    Rows that bring their own passages keep them. `without` is the share of the other rows whose reply states a value of
    the documents that are shown no passage, or near misses alone: their reply becomes one of `abstentions`, the
    tenant's own words for having no answer, or else one of the file's rows with an empty list of passages. `vary`
    replaces values that stand in passages and reply by others, so that they are read and not recited.
    """

    model_config = ConfigDict(extra="forbid")

    vector_stores: Annotated[list[str], Field(min_length=1, max_length=10)]
    top_k: Annotated[int, Field(strict=True, ge=1, le=20)] = 5
    without: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    abstentions: Annotated[
        list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]],
        Field(max_length=50),
    ] = Field(default=[])
    vary: bool = True


class FineTuningBraidOptions(NullsLeftOut):
    """`prompt` is the `name@version` that the rows are rendered with: take the one that the release will have.

    `variables` are values for its own names: the release's too. `rehearsal` is how many of the base model's own answers
    to prompts of all kinds are learnt among the rows, so that it keeps what it could do; absent: what suits the rows.
    """

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = None
    variables: Variables = Field(default={})
    recipe: RecipeOptions | None = None
    facts: FactsOptions | None = None
    evidence: EvidenceOptions | None = None
    rehearsal: Annotated[int, Field(strict=True, ge=0, le=160)] | None = None


class FineTuningJobCreate(NullsLeftOut):
    """A request for a job. `hyperparameters` at the top is OpenAI's old place for them.

    A member that isn't known, such as `n_epochs` beside them, is refused: it would cost a whole training.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] | None = None
    method: FineTuningMethodCreate | None = None
    hyperparameters: Hyperparameters | None = None
    metadata: Metadata | None = None
    integrations: list[dict[str, Any]] | None = None
    braid: FineTuningBraidOptions | None = None


class TrainingCost(BaseModel):
    """The work, the time and the cost of a training.

    `rows` are the file's, `rehearsal` the base's own answers that are learnt among them, `tokens` those of all of them
    once, `trained_tokens` those of all epochs. `cost` is null where the operator set no
    price. `basis` says where the figures are from, `summary` has them in a line for people.
    """

    rows: int
    rehearsal: int = 0
    tokens: int
    trained_tokens: int
    steps: int
    tokens_per_second: float
    seconds: float
    cost: float | None
    currency: str | None
    basis: str
    summary: str


class EvidenceFigures(BaseModel):
    """The passages that a job's training rows got, and the values that were varied in them.

    `own` rows brought passages, `searched` ones got them, and `not_searched` ones are small talk, which is learnt as
    served without retrieval. Of the searched, `unanswered` state a value that none of the passages states, `nothing`
    are shown no passage instead of those that answer, and `near_misses` only passages that don't. For `found_nothing`
    rows there was no passage, or none likely to answer, and their reply became the tenant's words for that; `left_out`
    ones are such rows where there were no words, and aren't trained on. `distractors` are passages that state nothing
    of their row's reply. `covered` of the `with_values` rows, whose replies share a value with their passages, have
    other values than the documents; `share` is their part, 0..1.
    """

    index_epochs: dict[str, int]
    rows: int
    own: int
    searched: int
    not_searched: int
    unanswered: int
    nothing: int
    near_misses: int
    found_nothing: int = 0
    left_out: int = 0
    passages: int
    distractors: int
    with_values: int
    covered: int
    share: float


class FineTuningJobBraid(BaseModel):
    """`prompt_digest` is that of the template behind `prompt`, or of the built-in one; empty where rows stay as is.

    `rows` and `validation_rows` are the SHA-256 of the rows as `prompt` rendered them and as they are trained on.

    The adapter's manifest names the same digests. They are null in jobs that an older Braid made. `steps` are the
    optimizer steps with which the last epoch ends, where `n_epochs` was `auto`; null where epochs are whole. `recipe`
    has the numbers of the run (a null `learning_rate` is what suits the base model's size).
    `chat_template_kwargs` are the values of the chat template's own names that rows and requests are rendered with,
    null where the trainer chose them.

    With `evidence` the rows' passages are searched when the job begins: from then on `rows` are those with passages,
    and `evidence_figures` say what they got. With a `rehearsal` the base is asked for so many answers of its own then,
    which stand in `rows` behind the file's; `rehearsed` is how many it gave.

    `written_rows` counts the rows that a model wrote, with those of the adapter that the job trains on; null without.

    `reasons` say why each number of the run is what it is. `estimate` is what the training was expected to take when
    the job was made, and `actual` what it took.
    """

    prompt: str | None
    prompt_digest: str | None = None
    variables: dict[str, Any] = {}
    steps: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    recipe: RecipeOptions | None = None
    facts: FactsOptions | None = None
    evidence: EvidenceOptions | None = None
    evidence_figures: EvidenceFigures | None = None
    rehearsal: int = 0
    rehearsed: int | None = None
    written_rows: WrittenRowCount | None = None
    reasons: dict[str, str] = {}
    estimate: TrainingCost | None = None
    actual: TrainingCost | None = None
    rows: str | None
    validation_rows: str | None


class JobError(BaseModel):
    code: str
    message: str
    param: str | None


class MethodFigures(BaseModel):
    hyperparameters: dict[str, Any]


class SupervisedMethod(BaseModel):
    type: Literal["supervised"] = "supervised"
    supervised: MethodFigures


class DpoMethod(BaseModel):
    type: Literal["dpo"] = "dpo"
    dpo: MethodFigures


class FineTuningJob(BaseModel):
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
    method: SupervisedMethod | DpoMethod
    metadata: dict[str, str]
    integrations: list[dict[str, Any]]
    error: JobError | None
    braid: FineTuningJobBraid


class FineTuningJobList(BaseModel):
    object: Literal["list"] = "list"
    data: list[FineTuningJob]
    has_more: bool


class FineTuningJobEvent(BaseModel):
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: str
    type: str
    message: str
    data: dict[str, Any]


def to_event(row: EventRow) -> FineTuningJobEvent:
    """Return an event as clients see it."""
    return FineTuningJobEvent(
        id=row.id, created_at=row.created_at, level=row.level, type=row.kind, message=row.message, data=row.data
    )


class FineTuningJobEventList(BaseModel):
    object: Literal["list"] = "list"
    data: list[FineTuningJobEvent]
    has_more: bool


class FineTuningJobCheckpoint(BaseModel):
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: dict[str, float]


class FineTuningJobCheckpointList(CursorPage[FineTuningJobCheckpoint]):
    """A page of checkpoints, newest first."""
