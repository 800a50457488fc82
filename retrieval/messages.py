"""The bodies of calls to the retriever, and of their results. Torch-free: the gateway imports this."""

from typing import Any, Literal

from msgspec import Struct

__all__ = [
    "Attribute",
    "DocumentReference",
    "IngestProgress",
    "IngestRequest",
    "IngestResult",
    "Passage",
    "RetrieverInfo",
    "SearchQuery",
    "StoreAtIndexEpoch",
    "StoreReference",
]

Attribute = str | float | bool
"""The value of one document attribute, as in OpenAI's vector store files."""


class SearchQuery(Struct, frozen=True, kw_only=True):
    """One question to a tenant's stores.

    Attributes:
        stores: Store id → the index epoch to read it at. No store, no passages.
        filters: OpenAI's comparison or compound filter object over document attributes.
        score_threshold: Passages below it are left out (0..1, see `retrieval.fusion`).
        exclude: Document ids that must not answer.
    """

    tenant: str
    stores: dict[str, int]
    text: str
    limit: int = 10
    filters: dict[str, Any] | None = None
    score_threshold: float | None = None
    exclude: list[str] = []


class Passage(Struct, frozen=True, kw_only=True):
    """A chunk that answers a question.

    Attributes:
        id: The point's UUID: the same text of the same document in another index epoch has another one.
        text: Exactly `parsed_text[start:end]`, in characters.
        heading: The document's title and the headings above the chunk (`Kestrel K2 > Warranty`), or "".
        page: Number of the page on which it begins, from 1; 0 in a document without pages.
        score: 0..1, comparable between questions.
    """

    id: str
    store: str
    document: str
    key: str
    version: int
    file_id: str
    filename: str
    text: str
    start: int
    end: int
    heading: str
    score: float
    attributes: dict[str, Attribute]
    page: int = 0


class IngestRequest(Struct, frozen=True, kw_only=True):
    """One version of one document, to become visible at `index_epoch`.

    Attributes:
        path: The bytes, readable by the retriever process.
        index_epoch: The store's present index epoch + 1. Only one ingest may write an index epoch of a store.
        max_chunk_tokens: In the embedder's tokens; held below its window, since it can't see further.
        overlap_tokens: Tokens that a chunk repeats of the one before it, at most half a chunk.
    """

    tenant: str
    store: str
    document: str
    key: str
    version: int
    file_id: str
    filename: str
    path: str
    index_epoch: int
    attributes: dict[str, Attribute] = {}
    max_chunk_tokens: int = 160
    overlap_tokens: int = 0


class IngestResult(Struct, frozen=True, kw_only=True):
    """The sums of an ingest: `embedded` + `reused` = `chunks`; `characters` of parsed text; `seconds` in all."""

    chunks: int
    embedded: int
    reused: int
    characters: int
    media_type: str
    seconds: float


class IngestProgress(Struct, frozen=True):
    """One step of an ingest: characters parsed, then chunks made, embedded and written, `done` of `total`."""

    stage: Literal["parsed", "chunked", "embedded", "written"]
    done: int
    total: int


class RetrieverInfo(Struct, frozen=True, kw_only=True):
    """The identity of the embedder, the size of its vectors, the number of points, and the versions of what ranks.

    `embedder` and `ranking` (keyword encoder and fusion) are part of a release's digest.
    """

    embedder: str
    dimensions: int
    points: int
    ranking: str = ""


class StoreReference(Struct, frozen=True):
    tenant: str
    store: str


class StoreAtIndexEpoch(Struct, frozen=True):
    tenant: str
    store: str
    index_epoch: int


class DocumentReference(Struct, frozen=True):
    tenant: str
    store: str
    document: str
