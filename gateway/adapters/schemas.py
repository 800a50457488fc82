from typing import Literal

from pydantic import BaseModel, ConfigDict

from gateway.adapters.lifecycle import AdapterStatus
from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage

__all__ = ["Adapter", "AdapterImport", "AdapterList", "AdapterResidency", "StaleFactCount", "WrittenRowCount"]


class AdapterImport(NullsLeftOut):
    """`file_id` is a `.zip` of a PEFT folder, uploaded with the purpose `user_data`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    file_id: str


class AdapterResidency(BaseModel):
    """On how many engine replicas the adapter is loaded and measured, out of how many there are."""

    replicas: int
    of: int


class WrittenRowCount(BaseModel):
    """The rows that a model wrote, of all that were learnt."""

    rows: int
    of: int


class StaleFactCount(BaseModel):
    """The values that were learnt and that documents have changed since; `noted_at` is when the count became so."""

    count: int
    noted_at: int


class Adapter(BaseModel):
    """An adapter. `model`, `digest` and `rank` are null until its files have passed the verdict.

    `reason` says why it doesn't answer, or what to mind of one that does. `step` is of a checkpoint: the training step
    after which its weights were so. `written_rows` counts the rows that a model wrote, with those of the adapter that
    it was trained on from; null without any. A release with such an adapter gets no traffic before its gate has passed.
    `stale_facts` counts what it has learnt and documents have changed since, as of the last look; null without any.
    """

    object: Literal["adapter"] = "adapter"
    id: str
    name: str
    model: str | None
    status: AdapterStatus
    reason: str | None
    digest: str | None
    rank: int | None
    base_model: str
    source: str
    step: int | None
    created_at: int
    job: str | None
    loaded: AdapterResidency
    written_rows: WrittenRowCount | None
    stale_facts: StaleFactCount | None


class AdapterList(CursorPage[Adapter]):
    pass
