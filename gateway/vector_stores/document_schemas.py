from typing import Any, Literal

from pydantic import BaseModel

from gateway.pages import CursorPage
from gateway.vector_stores.schemas import LastError, Status

__all__ = ["CalibrationState", "Document", "DocumentDeleted", "DocumentList", "IndexState"]


class Document(BaseModel):
    """A document by the version that was put last.

    `index_epoch` is the store's index epoch at which that version became visible, null until then. `live_version` is
    the one that answers now: an older one while the last isn't ready or can't be read, 0 while there is none. Of its
    `chunks`, `embedded` had no equal in the store, and were embedded. `sha256` is that of its bytes.
    `warnings` say what of them was left out, such as hidden text. `waits_for` says why it is still `in_progress`, where
    the index can't be reached or has no room; it goes on by itself. It is null in the answer to a put without `wait`.
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
    sha256: str
    chunks: int
    embedded: int
    attributes: dict[str, Any]
    status: Status
    error: LastError | None
    warnings: list[str]
    waits_for: str | None
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


class CalibrationState(BaseModel):
    """A store's own weights of the probability that its passages answer, by the report of `evaluation_id`.

    `source` says whose questions they were fitted to. `in_use` is false where something that they were fitted to has
    changed since, by the `problem`: then answers go by the general model. Another `chunker` voids nothing.
    """

    version: int
    evaluation_id: str
    created_at: int
    source: str
    questions: int
    embedder: str
    chunker: str
    in_use: bool
    problem: str | None


class IndexState(BaseModel):
    """A store's live documents beside the index that the retriever has now.

    `missing` aren't there, and searches are refused until all are; `outdated` were cut into chunks by an older version
    of Braid, and answer as they are. `job` indexes them again. `calibration` is null where the store has none.
    """

    vector_store_id: str
    state: Literal["current", "outdated", "missing"]
    documents: int
    missing: int
    outdated: int
    job: str | None
    calibration: CalibrationState | None
