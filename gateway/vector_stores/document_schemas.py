from typing import Any

from pydantic import BaseModel

from gateway.pages import CursorPage
from gateway.vector_stores.schemas import LastError, Status

__all__ = ["Document", "DocumentDeleted", "DocumentList"]


class Document(BaseModel):
    """A document by the version that was put last.

    `index_epoch` is the store's index epoch at which that version became visible, null until then. `live_version` is
    the one that answers now: an older one while the last isn't ready or can't be read, 0 while there is none.
    """

    document_id: str
    vector_store_id: str
    key: str
    version: int
    live_version: int
    index_epoch: int | None
    file_id: str
    filename: str
    bytes: int
    chunks: int
    attributes: dict[str, Any]
    status: Status
    error: LastError | None
    job: str | None
    created_at: int


class DocumentList(CursorPage[Document]):
    pass


class DocumentDeleted(BaseModel):
    """The document answers nothing from now on; `job` removes what is left of it."""

    document_id: str
    key: str
    deleted: bool = True
    job: str
