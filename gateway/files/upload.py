"""An upload: from the wire into the artifacts, checked, then a row."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import ValidationError

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.errors import BadRequest, PayloadTooLarge
from gateway.files.form import UploadForm
from gateway.files.garbage_collection import collect_later
from gateway.files.repository import FileRepository
from gateway.files.schemas import PURPOSES, FileExpiresAfter
from gateway.files.tables import FileRow
from gateway.files.training_rows import check_training_file
from gateway.ids import new_id
from gateway.tenants.storage import TenantStorage

__all__ = ["MAX_UPLOAD_BYTES", "Uploads", "check_file", "check_length", "check_rows", "limit_bytes"]

_FORM_BYTES = 1024 * 1024  # room for the form around the file
MAX_UPLOAD_BYTES = 8 * 1024**3 + _FORM_BYTES
"""The most that the setting `max_file_bytes` may allow: routes have their bound before there are settings."""
_NAME_LENGTH = 255
_POLICY = {"anchor": "expires_after[anchor]", "seconds": "expires_after[seconds]"}
_FIELDS = {"purpose", *_POLICY.values()}


async def limit_bytes(parts: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes]:
    """Pass a file's bytes on.

    Raises:
        PayloadTooLarge: They are more than `most`.
        BadRequest: There are none.
    """
    size = 0
    async for part in parts:
        size += len(part)
        if size > most:
            raise _too_large(most)
        yield part
    if not size:
        raise BadRequest("The file is empty. Send one that has content.", param="file", code="empty_file")


def check_length(length: int | None, most: int, *, room: int = 0) -> None:
    """Refuse a body by the length that the client announced, before anything is read.

    Args:
        length: The body's bytes; None where the client didn't say.
        most: The bytes that a file may have.
        room: Bytes that the body may have around the file.

    Raises:
        PayloadTooLarge: They are more than a file may have.
    """
    if length is not None and length > most + room:
        raise _too_large(most)


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The file is larger than {most} bytes, the most that one file may have here (max_file_bytes). Split it.",
        param="file",
    )


class Uploads:
    """Takes a tenant's uploads."""

    def __init__(self, database: Database, artifacts: Artifacts, storage: TenantStorage, tenant: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._tenant = tenant

    async def receive(self, body: AsyncIterator[bytes], content_type: str, length: int | None) -> FileRow:
        """Keep the file of a multipart form; `length` is the body's, where the client announced it.

        Raises:
            BadRequest: The form, the file's name or purpose, or a training file's rows are no good.
            PayloadTooLarge: More than a file may have, or than the tenant has room for; known from the length before
                anything is read.
        """
        check_length(length, self._storage.file_limit, room=_FORM_BYTES)
        form = UploadForm(content_type)
        file = self._storage.pass_on(self._tenant, form.read_file_bytes(body), announced=(length or 0) - _FORM_BYTES)
        async with aclosing(_check_form(form, file, self._storage.file_limit)) as parts:
            artifact = await self._artifacts.put(parts)
        now, seconds = int(time.time()), _read_seconds(form)
        row = FileRow(
            id=new_id("file-"),
            created_at=now,
            filename=form.filename or "",
            purpose=form.fields["purpose"],
            digest=artifact.digest,
            bytes=artifact.size,
            expires_at=None if seconds is None else now + seconds,
        )
        if row.purpose == "fine-tune":
            await check_rows(self._database, self._artifacts, self._tenant, artifact.digest)
        async with self._database.begin() as session:
            FileRepository(session, self._tenant).add(row)
            await self._storage.admit(session, self._tenant, row.bytes)
        return row


async def check_rows(database: Database, artifacts: Artifacts, tenant: str, digest: str) -> None:
    """Refuse bytes that aren't a training file; they are collected then.

    Raises:
        BadRequest: With the numbers of the rows that are no good.
    """
    try:
        await asyncio.to_thread(check_training_file, artifacts.locate_file(digest))
    except BadRequest:
        async with database.begin() as session:
            await collect_later(session, tenant, [digest])
        raise


def check_file(name: str, purpose: str | None, *, param: str = "file") -> None:
    """Refuse a file's purpose or name; `param` is the request's member with the name."""
    if purpose not in PURPOSES:
        problem = "no purpose came" if purpose is None else f"{purpose!r} isn't one"
        raise BadRequest(f"A file needs a purpose, and {problem}. Use one of {', '.join(PURPOSES)}.", param="purpose")
    if not name.strip() or len(name) > _NAME_LENGTH or not name.isprintable():
        raise BadRequest(
            f"The file's name is empty, longer than {_NAME_LENGTH} characters, or has control characters. Rename it.",
            param=param,
        )
    # Clients that are given bytes name them without an ending (`upload`, `file`, `unknown_file`).
    if purpose == "fine-tune" and "." in name and not name.lower().endswith(".jsonl"):
        raise BadRequest(
            f"A training file is JSON lines and its name ends in .jsonl; this one is named {name!r}. "
            "Convert it, one row per line, and rename it.",
            param=param,
            code="invalid_training_file",
        )


async def _check_form(form: UploadForm, file: AsyncGenerator[bytes], most: int) -> AsyncGenerator[bytes]:
    """Pass the file's bytes on; raise a fault in the rest of the form before they are kept."""
    async with aclosing(file) as data, aclosing(limit_bytes(data, most)) as parts:
        async for part in parts:
            yield part
    if unknown := sorted(form.fields.keys() - _FIELDS):
        raise BadRequest(
            f"Unknown parameter {unknown[0]!r}. Send 'file' and 'purpose', and 'expires_after' if the file is to be "
            "deleted by itself.",
            param=unknown[0],
            code="unknown_parameter",
        )
    check_file(form.filename or "", form.fields.get("purpose"))
    _read_seconds(form)


def _read_seconds(form: UploadForm) -> int | None:
    """Return the seconds that a file is to live for, None for ever."""
    policy = {name: form.fields[field] for name, field in _POLICY.items() if field in form.fields}
    if not policy:
        return None
    try:
        return FileExpiresAfter.model_validate_strings(policy).seconds
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(
            f"expires_after can't be used: {first['msg']} at {first['loc'][0]!r}. It is the anchor 'created_at' and "
            "3600 to 2592000 seconds.",
            param="expires_after",
        ) from None
