from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.optional_members import NullsLeftOut

__all__ = ["FactsCheck", "FactsCheckCreate", "FactsCheckMessage", "FactsCheckPassage", "FactsCheckRow", "RowFactObject"]

Text = Annotated[str, StringConstraints(min_length=1, max_length=262_144)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class FactsCheckMessage(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text
    weight: Literal[0, 1] | None = None


class FactsCheckPassage(_Strict):
    title: Annotated[str, StringConstraints(max_length=32_768)] = ""
    text: Text


class FactsCheckRow(_Strict):
    """A row to train on, and the passages of its prompt."""

    messages: Annotated[list[FactsCheckMessage], Field(min_length=1, max_length=500)]
    passages: Annotated[list[FactsCheckPassage], Field(max_length=100)] = []


class FactsCheckCreate(_Strict):
    """Rows whose replies are to be looked up in stores."""

    vector_stores: Annotated[list[Name], Field(min_length=1, max_length=10)]
    rows: Annotated[list[FactsCheckRow], Field(min_length=1, max_length=50)]


class RowFactObject(BaseModel):
    """A value in a reply; `row` counts the request's rows from 1.

    Where a document states it (`index`) or stated it (`changed`), that is named by store, id, key and present version,
    with the passage that is about it now; `stated_version` is the last version that had the value. A deleted document
    has neither version nor passage, and `deleted_at` is when it went, where that is still known.
    """

    row: int
    kind: str
    text: str
    readings: list[str]
    place: Literal["evidence", "index", "changed", "nowhere"]
    vector_store_id: str | None
    document_id: str | None
    document_key: str | None
    version: int | None
    stated_version: int | None
    title: str | None
    passage: str | None
    deleted_at: int | None


class FactsCheck(BaseModel):
    """Of `unread_documents`, which were deleted lately, nothing is kept that values could have been looked for in."""

    object: Literal["facts_check"] = "facts_check"
    data: list[RowFactObject]
    unread_documents: int
