from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage

__all__ = [
    "ATTRIBUTES",
    "Attributes",
    "ChunkingStrategy",
    "ExpiresAfter",
    "FileCounts",
    "HybridSearch",
    "LastError",
    "Metadata",
    "RankingOptions",
    "StaticChunkingSizes",
    "StaticChunkingStrategy",
    "Status",
    "TextContent",
    "VectorStore",
    "VectorStoreCreate",
    "VectorStoreDeleted",
    "VectorStoreFile",
    "VectorStoreFileContent",
    "VectorStoreFileCreate",
    "VectorStoreFileDeleted",
    "VectorStoreFileList",
    "VectorStoreFileUpdate",
    "VectorStoreList",
    "VectorStoreSearch",
    "VectorStoreSearchResult",
    "VectorStoreSearchResultsPage",
    "VectorStoreUpdate",
]


def _refuse_huge(value: float) -> float:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # which no index can hold
        raise ValueError("a whole number must have at most 64 bits; send a longer one as a string")
    return value


def _refuse_nul(text: str) -> str:
    if "\0" in text:  # which columns of JSON hide from the check of all other texts
        raise ValueError("a text can't have the character with code 0")
    return text


Key64 = Annotated[str, StringConstraints(max_length=64), AfterValidator(_refuse_nul)]
Text512 = Annotated[str, StringConstraints(strict=True, max_length=512), AfterValidator(_refuse_nul)]
Number = Annotated[StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)], AfterValidator(_refuse_huge)]
Metadata = Annotated[dict[Key64, Text512], Field(max_length=16)]
Attributes = Annotated[dict[Key64, Text512 | StrictBool | Number], Field(max_length=16)]
ATTRIBUTES: TypeAdapter[dict[str, Any]] = TypeAdapter(Attributes)
Status = Literal["in_progress", "completed", "failed", "cancelled"]
Name = Annotated[str, StringConstraints(max_length=255)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class ExpiresAfter(_Strict):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class StaticChunkingSizes(_Strict):
    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _half(self) -> "StaticChunkingSizes":
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise ValueError("chunk_overlap_tokens must not be more than half of max_chunk_size_tokens")
        return self


class AutoChunkingStrategy(_Strict):
    type: Literal["auto"]


class StaticChunkingStrategy(_Strict):
    type: Literal["static"] = "static"
    static: StaticChunkingSizes


ChunkingStrategy = Annotated[AutoChunkingStrategy | StaticChunkingStrategy, Field(discriminator="type")]


class VectorStoreCreate(_Strict):
    """`chunking_strategy` holds for every file of the store that gives none of its own."""

    name: Name | None = None
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    file_ids: Annotated[list[str], Field(max_length=500)] | None = None
    expires_after: ExpiresAfter | None = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None


class VectorStoreUpdate(_Strict):
    name: Name | None = None
    expires_after: ExpiresAfter | None = None
    metadata: Metadata | None = None


class FileCounts(BaseModel):
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(BaseModel):
    """OpenAI's vector store object."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: ExpiresAfter | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, Any]


class VectorStoreList(CursorPage[VectorStore]):
    pass


class VectorStoreDeleted(BaseModel):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class VectorStoreFileCreate(_Strict):
    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class VectorStoreFileUpdate(_Strict):
    """The attributes that a file has from now on, instead of those that it has; null leaves it none."""

    attributes: Attributes | None


class LastError(BaseModel):
    """The reason why a file isn't in the store: `server_error`, `unsupported_file` or `invalid_file`."""

    code: str
    message: str


class VectorStoreFile(BaseModel):
    """OpenAI's vector store file; `id` is the file's. `warnings` say what of it was left out, such as hidden text."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    usage_bytes: int
    status: Status
    last_error: LastError | None
    attributes: dict[str, Any]
    chunking_strategy: StaticChunkingStrategy
    warnings: list[str]


class VectorStoreFileList(CursorPage[VectorStoreFile]):
    pass


class VectorStoreFileDeleted(BaseModel):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


class HybridSearch(_Strict):
    """The shares of meaning and words in a score, as OpenAI's file_search has them: only their ratio counts."""

    embedding_weight: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    text_weight: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _some(self) -> "HybridSearch":
        if not self.embedding_weight + self.text_weight:
            raise ValueError("embedding_weight and text_weight must not both be 0")
        return self


class RankingOptions(_Strict):
    """`ranker` is taken for the sake of the contract: there is one ranking, dense and BM25 fused.

    Passages below `score_threshold` are left out; `hybrid_search` weighs the two otherwise than the fusion does.
    """

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    hybrid_search: HybridSearch | None = None


Query = Annotated[str, StringConstraints(min_length=1, max_length=32_768)]


class VectorStoreSearch(_Strict):
    """With `rewrite_query` the engine makes a query for a search of each question; `search_query` has them."""

    query: Query | Annotated[list[Query], Field(min_length=1, max_length=8)]
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False


class TextContent(BaseModel):
    type: Literal["text"] = "text"
    text: str


class VectorStoreFileContent(BaseModel):
    """OpenAI's page of a file's parsed text, which is always the only one: its passages in the file's order."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: None = None


class VectorStoreSearchResult(BaseModel):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, Any]
    content: list[TextContent]


class VectorStoreSearchResultsPage(BaseModel):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[VectorStoreSearchResult]
    has_more: bool = False
    next_page: None = None
