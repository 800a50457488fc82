"""OpenAI's objects of evals, runs and output items."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.evals.criteria import TestingCriterion
from gateway.evals.data_sources import RunDataSource
from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.vector_stores.schemas import Metadata

__all__ = [
    "MOST_CRITERIA",
    "CriterionDifference",
    "CustomDataSourceConfig",
    "Eval",
    "EvalAPIError",
    "EvalCreate",
    "EvalDeleted",
    "EvalList",
    "EvalRun",
    "EvalRunCreate",
    "EvalRunDeleted",
    "EvalRunDifference",
    "EvalRunList",
    "EvalRunOutputItem",
    "EvalRunOutputItemList",
    "EvalUpdate",
    "PairedDifference",
    "PerModelUsage",
    "PerTestingCriteriaResult",
    "ResultCounts",
    "RunStatus",
]

MOST_CRITERIA = 32
RunStatus = Literal["queued", "in_progress", "completed", "canceled", "failed"]
Name = Annotated[str, StringConstraints(max_length=255)]


class CustomDataSourceConfig(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    type: Literal["custom"]
    item_schema: dict[str, Any]
    include_sample_schema: bool = False


class StoredDataSourceConfig(BaseModel):
    """Answers that OpenAI has stored; there are none here."""

    model_config = ConfigDict(extra="allow")

    type: Literal["logs", "stored_completions"]


class EvalCreate(NullsLeftOut):
    """`share_with_openai` is a member of OpenAI's earlier clients; nothing is shared here."""

    model_config = ConfigDict(extra="forbid")

    data_source_config: Annotated[CustomDataSourceConfig | StoredDataSourceConfig, Field(discriminator="type")]
    testing_criteria: Annotated[list[TestingCriterion], Field(min_length=1, max_length=MOST_CRITERIA)]
    name: Name | None = None
    metadata: Metadata | None = None
    share_with_openai: Literal[False] | None = None


class EvalUpdate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    metadata: Metadata | None = None


class Eval(BaseModel):
    id: str
    object: Literal["eval"] = "eval"
    name: str
    created_at: int
    data_source_config: dict[str, Any]
    testing_criteria: list[dict[str, Any]]
    metadata: dict[str, str]


class EvalList(CursorPage[Eval]):
    pass


class EvalDeleted(BaseModel):
    object: Literal["eval.deleted"] = "eval.deleted"
    deleted: bool = True
    eval_id: str


class EvalRunCreate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    data_source: RunDataSource
    name: Name | None = None
    metadata: Metadata | None = None


class EvalAPIError(BaseModel):
    code: str
    message: str


class ResultCounts(BaseModel):
    """Rows by outcome; those of `total` that are in no other number haven't been answered."""

    total: int
    errored: int
    failed: int
    passed: int


class PerModelUsage(BaseModel):
    model_name: str
    invocation_count: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int


class PerTestingCriteriaResult(BaseModel):
    testing_criteria: str
    passed: int
    failed: int


class EvalRun(BaseModel):
    id: str
    object: Literal["eval.run"] = "eval.run"
    eval_id: str
    name: str
    created_at: int
    status: RunStatus
    model: str
    data_source: dict[str, Any]
    result_counts: ResultCounts
    per_model_usage: list[PerModelUsage]
    per_testing_criteria_results: list[PerTestingCriteriaResult]
    report_url: str
    error: EvalAPIError | None
    metadata: dict[str, str]


class EvalRunList(CursorPage[EvalRun]):
    pass


class EvalRunDeleted(BaseModel):
    object: Literal["eval.run.deleted"] = "eval.run.deleted"
    deleted: bool = True
    run_id: str


class PairedDifference(BaseModel):
    """A mean difference over `n` pairs, and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


class CriterionDifference(BaseModel):
    testing_criteria: str
    scores: PairedDifference | None


class EvalRunDifference(BaseModel):
    """A run held against a baseline, row by row; `complete` says that both have graded all of their rows.

    `passes` is the difference in the share of rows that pass; without pairs there is none.
    """

    object: Literal["eval.run.difference"] = "eval.run.difference"
    run_id: str
    baseline_id: str
    complete: bool
    pairs: int
    unpaired: int
    passes: PairedDifference | None
    criteria: list[CriterionDifference]


class EvalRunOutputItem(BaseModel):
    """A row, the answer to it, and its grades; `status` is `pass`, `fail` or `error`."""

    id: str
    object: Literal["eval.run.output_item"] = "eval.run.output_item"
    created_at: int
    eval_id: str
    run_id: str
    status: Literal["pass", "fail", "error"]
    datasource_item_id: int
    datasource_item: dict[str, Any]
    results: list[dict[str, Any]]
    sample: dict[str, Any]


class EvalRunOutputItemList(CursorPage[EvalRunOutputItem]):
    pass
