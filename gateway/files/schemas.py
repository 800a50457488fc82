from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage

__all__ = ["PURPOSES", "FileDeleted", "FileExpiresAfter", "FileObject", "FileObjectList", "Purpose"]

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""The uses that a client may upload a file for."""
PURPOSES: tuple[str, ...] = get_args(Purpose)


class FileExpiresAfter(NullsLeftOut):
    """The time after which a file is deleted by itself."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3_600, le=2_592_000)]


class FileObject(BaseModel):
    """OpenAI's file object."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: None = None
    expires_at: int | None = None


class FileObjectList(CursorPage[FileObject]):
    pass


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True
