from typing import Literal

from pydantic import BaseModel

__all__ = ["FactState", "StaleFact", "StaleFacts"]

FactState = Literal["changed", "deleted"]


class StaleFact(BaseModel):
    """A value that an adapter has learnt from rows while a document stated it, and that isn't true any more."""

    adapter: str
    fine_tuning_job_id: str
    kind: str
    text: str
    rows: list[int]
    vector_store_id: str
    document_id: str
    document_key: str
    learnt_version: int
    version: int | None
    state: FactState


class StaleFacts(BaseModel):
    """`unread_documents` have changed too, and were too many to be read for one answer, or moved meanwhile."""

    object: Literal["stale_facts"] = "stale_facts"
    data: list[StaleFact]
    unread_documents: int
