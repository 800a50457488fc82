from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.optional_members import NullsLeftOut

__all__ = ["ClosedBook", "ClosedBookCreate", "Recall", "RecitedValue"]


class ClosedBookCreate(NullsLeftOut):
    """`questions` of the training rows whose replies hold values are asked, chosen by `seed`, for at most `seconds`."""

    model_config = ConfigDict(extra="forbid")

    questions: Annotated[int, Field(strict=True, ge=1, le=50)] = 20
    seconds: Annotated[int, Field(strict=True, ge=5, le=300)] = 60
    seed: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] = 0


class Recall(BaseModel):
    """The share of `values` that came back, with its 95 % interval (Wilson's)."""

    recited: int
    values: int
    share: float
    low: float
    high: float


class RecitedValue(BaseModel):
    """A value of a reply that the adapter gave without having been shown it.

    With `base` the base model gave it too, so that it may be a guess. `stale` is set where documents have changed or
    deleted it since: see `GET /api/styles/stale_facts`.
    """

    row: int
    kind: str
    text: str
    base: bool
    stale: Literal["changed", "deleted"] | None


class ClosedBook(BaseModel):
    """An adapter's answers to questions that it was trained on, without any passage, beside the base model's.

    The adapter was trained on `rows`. Of those with values that nothing before their reply states, `questions` were
    asked, and `unasked` ones that were to be asked found no time, or don't fit into the context.
    """

    object: Literal["closed_book"] = "closed_book"
    adapter: str
    fine_tuning_job_id: str
    rows: int
    questions: int
    unasked: int
    recall: Recall | None
    base: Recall | None
    by_kind: dict[str, Recall]
    recited: list[RecitedValue]
