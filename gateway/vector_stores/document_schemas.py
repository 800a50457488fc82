from typing import Any, Literal

from pydantic import BaseModel

from gateway.vector_stores.schemas import LastError, Status

__all__ = ["Document", "DocumentDeleted", "DocumentList"]


class Document(BaseModel):
    """A document by the version that was put last.

    `epoch` is the store's epoch at which that version became visible, null until then. `live_version` is the one
    that answers now: an older one while the last isn't ready or can't be read, 0 while there is none.
    """

    document_id: str
    vector_store_id: str
    key: str
    version: int
    live_version: int
    epoch: int | None
    file_id: str
    filename: str
    bytes: int
    chunks: int
    attributes: dict[str, Any]
    status: Status
    error: LastError | None
    job: str | None
    created_at: int


class DocumentList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Document]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DocumentDeleted(BaseModel):
    """The document answers nothing from now on; `job` removes what is left of it."""

    document_id: str
    key: str
    deleted: bool = True
    job: str
