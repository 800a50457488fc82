"""An upload: from the wire into the artifacts, checked, then a row."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.errors import BadRequest, PayloadTooLarge
from gateway.files.form import UploadForm
from gateway.files.garbage_collection import collect_later
from gateway.files.repository import FileRepository
from gateway.files.schemas import PURPOSES
from gateway.files.tables import FileRow
from gateway.files.training_rows import check_training_file
from gateway.ids import new_id

__all__ = ["MAX_UPLOAD_BYTES", "Uploads", "check_length", "limit_bytes"]

MAX_FILE_BYTES = 512 * 1024 * 1024
_FORM_BYTES = 1024 * 1024  # room for the form around the file
MAX_UPLOAD_BYTES = MAX_FILE_BYTES + _FORM_BYTES
_NAME_LENGTH = 255


async def limit_bytes(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Pass a file's bytes on.

    Raises:
        PayloadTooLarge: They are more than `MAX_FILE_BYTES`.
        BadRequest: There are none.
    """
    size = 0
    async for part in parts:
        size += len(part)
        if size > MAX_FILE_BYTES:
            raise _too_large()
        yield part
    if not size:
        raise BadRequest("The file is empty. Send one that has content.", param="file", code="empty_file")


def check_length(length: int | None, *, room: int = 0) -> None:
    """Refuse a body by the length that the client announced, before anything is read.

    Args:
        length: The body's bytes; None where the client didn't say.
        room: Bytes that the body may have around the file.

    Raises:
        PayloadTooLarge: They are more than a file may have.
    """
    if length is not None and length > MAX_FILE_BYTES + room:
        raise _too_large()


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The file is larger than {MAX_FILE_BYTES // 1024**2} MB, the most that one file can have. Split it.",
        param="file",
    )


class Uploads:
    """Takes a tenant's uploads."""

    def __init__(self, database: Database, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._tenant = tenant

    async def receive(self, body: AsyncIterator[bytes], content_type: str, length: int | None) -> FileRow:
        """Keep the file of a multipart form; `length` is the body's, where the client announced it.

        Raises:
            BadRequest: The form, the file's name or purpose, or a training file's rows are no good.
            PayloadTooLarge: More than 512 MB; known from the length before anything is read.
        """
        check_length(length, room=_FORM_BYTES)
        form = UploadForm(content_type)
        async with aclosing(_check_form(form, body)) as parts:
            stored = await self._artifacts.put(parts)
        row = FileRow(
            id=new_id("file-"),
            created_at=int(time.time()),
            filename=form.filename or "",
            purpose=form.fields["purpose"],
            digest=stored.digest,
            bytes=stored.size,
        )
        if row.purpose == "fine-tune":
            await self._check_rows(stored.digest)
        async with self._database.begin() as session:
            return FileRepository(session, self._tenant).add(row)

    async def _check_rows(self, digest: str) -> None:
        try:
            await asyncio.to_thread(check_training_file, self._artifacts.file(digest))
        except BadRequest:
            async with self._database.begin() as session:
                await collect_later(session, self._tenant, [digest])
            raise


async def _check_form(form: UploadForm, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Pass the file's bytes on; raise a fault in the rest of the form before they are kept."""
    async with aclosing(form.file_bytes(body)) as file, aclosing(limit_bytes(file)) as parts:
        async for part in parts:
            yield part
    purpose = form.fields.get("purpose")
    if purpose not in PURPOSES:
        problem = "no purpose came" if purpose is None else f"{purpose!r} isn't one"
        raise BadRequest(f"A file needs a purpose, and {problem}. Use one of {', '.join(PURPOSES)}.", param="purpose")
    if unknown := sorted(form.fields.keys() - {"purpose"}):
        raise BadRequest(
            f"Unknown parameter {unknown[0]!r}. Files are kept until they are deleted; send 'file' and 'purpose' only.",
            param=unknown[0],
            code="unknown_parameter",
        )
    name = form.filename or ""
    if not name.strip() or len(name) > _NAME_LENGTH or not name.isprintable():
        raise BadRequest(
            f"The file's name is empty, longer than {_NAME_LENGTH} characters, or has control characters. Rename it.",
            param="file",
        )
    if purpose == "fine-tune" and not name.lower().endswith(".jsonl"):
        raise BadRequest(
            f"A training file is JSON lines and its name ends in .jsonl; this one is named {name!r}. "
            "Convert it, one row per line, and rename it.",
            param="file",
            code="invalid_training_file",
        )
