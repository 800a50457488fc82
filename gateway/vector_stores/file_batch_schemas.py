from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.optional_members import NullsLeftOut
from gateway.vector_stores.schemas import Attributes, ChunkingStrategy, FileCounts, Status, VectorStoreFileCreate

__all__ = ["VectorStoreFileBatch", "VectorStoreFileBatchCreate"]

_MOST_FILES = 2_000


class VectorStoreFileBatchCreate(NullsLeftOut):
    """Files to add at once: `file_ids` with what holds for all of them, or `files` with what holds for each."""

    model_config = ConfigDict(extra="forbid")

    file_ids: Annotated[list[str], Field(min_length=1, max_length=_MOST_FILES)] | None = None
    files: Annotated[list[VectorStoreFileCreate], Field(min_length=1, max_length=_MOST_FILES)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one(self) -> "VectorStoreFileBatchCreate":
        if (self.file_ids is None) == (self.files is None):
            raise ValueError("a batch has either file_ids or files")
        if self.files is not None and (self.attributes is not None or self.chunking_strategy is not None):
            raise ValueError("attributes and chunking_strategy stand with each of the files, where they are given so")
        ids = [file.file_id for file in self.each]
        if len(set(ids)) < len(ids):
            raise ValueError("a file stands in the batch twice")
        return self

    @property
    def each(self) -> list[VectorStoreFileCreate]:
        """The files, each with what holds for it."""
        if self.files is not None:
            return self.files
        return [
            VectorStoreFileCreate(file_id=id, attributes=self.attributes, chunking_strategy=self.chunking_strategy)
            for id in self.file_ids or ()
        ]


class VectorStoreFileBatch(BaseModel):
    """OpenAI's file batch; the counts are of all files that it was given, also of those that were deleted since."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Status
    file_counts: FileCounts
