from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage

__all__ = [
    "MOST_FAILURES",
    "MOST_PASSES",
    "Diagnosis",
    "DiagnosisCase",
    "DiagnosisCreate",
    "DiagnosisDeleted",
    "DiagnosisError",
    "DiagnosisList",
    "DiagnosisMessage",
    "GateSource",
    "RunSource",
]

MOST_FAILURES, MOST_PASSES = 100, 50
_MOST_CASES = 1000

Text = Annotated[str, StringConstraints(strict=True, max_length=32_768)]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255)]
ExpectedText = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=512)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class DiagnosisMessage(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text


class DiagnosisCase(_Strict):
    """A question whose answer failed, or passed.

    It comes as `messages` that end with it, or as `question` alone. What would be right is told by `expected`, texts
    that the answer has to have, or by `reference`, the reply that should have come, whose values count. `reason` is why
    it failed. `answer_id` is the answer's, whose record tells the release, the request's filters and the documents'
    versions; records have no texts.
    """

    question: Text | None = None
    messages: Annotated[list[DiagnosisMessage], Field(min_length=1, max_length=200)] | None = None
    answer: Text = ""
    answer_id: Name | None = None
    reference: Text = ""
    expected: Annotated[list[ExpectedText], Field(max_length=20)] = []
    reason: Text = ""

    @model_validator(mode="after")
    def _one_question(self) -> "DiagnosisCase":
        if (self.question is None) == (self.messages is None):
            raise ValueError("give either question or messages: records of answers have no texts")
        if self.messages is not None and self.messages[-1].role != "user":
            raise ValueError("messages end with the user's question")
        return self


class RunSource(_Strict):
    """A run of an eval: output items that failed, and those that passed."""

    eval_id: Name
    run_id: Name


class GateSource(_Strict):
    """The gate of a release: rows whose answers lack the reply's values or break its style, and the others."""

    assistant: Name
    release: Annotated[int, Field(ge=1, le=999_999_999)]


class DiagnosisCreate(_Strict):
    """The failures of an assistant's release, from any of the sources.

    `model` is the assistant (then its release with the largest share), or a release (`support@7`); without it, it
    is that of the gate, of the run, or of the first answer's record. `votes` takes so many of the assistant's
    answers that the newest feedback is against. Of more than 100 failures evenly spaced ones are replayed, and of 50
    that passed. `samples` answers are asked for of each variant, twice as many where they don't decide. With
    `propose` releases that mend beyond noise are made; none is promoted.
    """

    model: Name | None = None
    failures: Annotated[list[DiagnosisCase], Field(max_length=_MOST_CASES)] = []
    passes: Annotated[list[DiagnosisCase], Field(max_length=_MOST_CASES)] = []
    run: RunSource | None = None
    gate: GateSource | None = None
    votes: Annotated[int, Field(ge=1, le=_MOST_CASES)] | None = None
    samples: Annotated[int, Field(ge=3, le=9)] = 3
    propose: StrictBool = True

    @model_validator(mode="after")
    def _some_source(self) -> "DiagnosisCreate":
        if not (self.failures or self.run or self.gate or self.votes):
            raise ValueError("give failures, a run, a gate, or votes")
        return self


class DiagnosisError(BaseModel):
    code: str
    message: str


class Diagnosis(BaseModel):
    """A diagnosis; `done` of `failures` are replayed. The report is there once it has succeeded.

    `strands` are the numbers of failures by the strand at fault, and `releases` those that are proposed, by strand.
    """

    id: str
    object: Literal["diagnosis"] = "diagnosis"
    assistant: str
    release: int
    created_at: int
    finished_at: int | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    sources: list[str]
    failures: int
    passes: int
    done: int
    strands: dict[str, int]
    releases: dict[str, int]
    options: dict[str, Any]
    error: DiagnosisError | None


class DiagnosisList(CursorPage[Diagnosis]):
    pass


class DiagnosisDeleted(BaseModel):
    id: str
    object: Literal["diagnosis.deleted"] = "diagnosis.deleted"
    deleted: bool = True
