from typing import Literal, get_args

from pydantic import BaseModel

from gateway.pages import CursorPage

__all__ = ["PURPOSES", "FileDeleted", "FileObject", "FileObjectList", "Purpose"]

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""The uses that a client may upload a file for."""
PURPOSES: tuple[str, ...] = get_args(Purpose)


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
    expires_at: None = None


class FileObjectList(CursorPage[FileObject]):
    pass


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True
