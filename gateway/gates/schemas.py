from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.assistants.gate_verdict import MARGIN
from gateway.assistants.schemas import GateOutcome
from gateway.evaluation.base_suite import FIRST_PROMPTS, MOST_PROMPTS
from gateway.optional_members import NullsLeftOut

__all__ = ["Gate", "GateCreate", "GateError", "GateEvalRuns"]

Canary = Annotated[str, StringConstraints(strict=True, min_length=8, max_length=200)]


class GateEvalRuns(NullsLeftOut):
    """A run of an eval that asked the release, and one of the same eval that asked what it is compared with."""

    model_config = ConfigDict(extra="forbid")

    run_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    baseline_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class GateCreate(NullsLeftOut):
    """Held-out rows, in the format of training files; without a file those that the adapter's job validated by.

    Of more rows than `rows` evenly spaced ones are asked. `margin` is how much lower than the baseline faithfulness and
    general may be at the interval's lower end, as a share; a wider one than the default lifts no block. `canaries` are
    random texts that were planted in training rows. `eval_runs` are completed runs of evals, of which the release may
    lose as little as of the others. Of the base suite at most `general_prompts` prompts are asked, in rounds that end
    once they decide.
    """

    model_config = ConfigDict(extra="forbid")

    file_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    rows: Annotated[int, Field(ge=10, le=400)] = 100
    margin: Annotated[float, Field(ge=0, le=0.2, allow_inf_nan=False)] = MARGIN
    canaries: Annotated[list[Canary], Field(max_length=100)] = []
    eval_runs: Annotated[list[GateEvalRuns], Field(max_length=10)] = []
    general_prompts: Annotated[int, Field(ge=FIRST_PROMPTS, le=MOST_PROMPTS)] = FIRST_PROMPTS


class GateError(BaseModel):
    code: str
    message: str


class Gate(BaseModel):
    """The gate of a release; `done` of about `total` questions to the engines are answered.

    `report` is there once it has succeeded: it has run, and `passed` says how it ended. `verdict` is what counts for
    the release's content, by all gates of releases with its fingerprint; `note` says why, where this one doesn't.
    """

    id: str
    object: Literal["gate"] = "gate"
    assistant: str
    release: int
    against: int | None
    created_at: int
    finished_at: int | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    source: str
    total: int
    done: int
    passed: bool | None
    verdict: GateOutcome
    note: str
    error: GateError | None
    report: dict[str, Any] | None
