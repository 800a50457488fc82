from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.files.schemas import FileExpiresAfter, FileObject
from gateway.optional_members import NullsLeftOut

__all__ = ["MAX_PARTS", "Upload", "UploadComplete", "UploadCreate", "UploadPart"]

MAX_PARTS = 2_000
_MAX_BYTES = 8 * 1024**3


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class UploadCreate(_Strict):
    """`bytes` is the size of the whole file; `mime_type` isn't looked at, the bytes and the name are."""

    filename: str
    purpose: str
    bytes: Annotated[int, Field(ge=1, le=_MAX_BYTES)]
    mime_type: Annotated[str, StringConstraints(max_length=255)]
    expires_after: FileExpiresAfter | None = None


class UploadComplete(_Strict):
    """`part_ids` in the order of the file; `md5` is the whole file's, in hexadecimal."""

    part_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_PARTS)]
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")] | None = None


class Upload(BaseModel):
    """OpenAI's upload object; `file` is there once it is completed."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    expires_at: int
    file: FileObject | None = None


class UploadPart(BaseModel):
    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
