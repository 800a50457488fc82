"""Uploads in parts: a file that is too large, or a line too bad, for one request."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.counts import format_count
from gateway.db import Database, lock
from gateway.errors import BadRequest, PayloadTooLarge, TooManyRequests
from gateway.files.form import UploadForm
from gateway.files.garbage_collection import collect_later
from gateway.files.part_schemas import MAX_PARTS, Upload, UploadComplete, UploadCreate, UploadPart
from gateway.files.repository import FileRepository, UploadPartRepository, UploadRepository
from gateway.files.service import to_file_object
from gateway.files.tables import FileRow, UploadPartRow, UploadRow
from gateway.files.upload import check_file, check_rows
from gateway.ids import new_id
from gateway.tenants.storage import TenantStorage

__all__ = ["MAX_PART_BODY_BYTES", "UploadService"]

_MAX_PART_BYTES = 64 * 1024**2
MAX_PART_BODY_BYTES = _MAX_PART_BYTES + 1024**2  # room for the form around the part
_LIFE_SECONDS = 3_600
_READ_BYTES = 1024**2

_MOST_PENDING = 100
_MOST_PENDING_BYTES = 16 * 1024**3
"""The most bytes of a tenant's pending uploads together: those that they announced, of which they can't have more."""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


class UploadService:
    """One tenant's uploads in parts. Each method makes its own units of work: bytes are moved outside of them."""

    def __init__(self, database: Database, artifacts: Artifacts, storage: TenantStorage, tenant: str) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._tenant = tenant

    async def create(self, request: UploadCreate) -> Upload:
        """Begin an upload, which is to be completed within an hour; the room for what it announces is kept for it.

        Raises:
            BadRequest: The name or purpose is no good.
            PayloadTooLarge: The tenant has no room for what it announces.
            TooManyRequests: The tenant's pending uploads are as many, or as large, as they may be.
        """
        check_file(request.filename, request.purpose, param="filename")
        now = int(time.time())
        async with self._database.begin() as session:
            await lock(session, f"uploads {self._tenant}")
            number, size = await UploadRepository(session, self._tenant).sum_pending()
            if number >= _MOST_PENDING or size + request.bytes > _MOST_PENDING_BYTES:
                raise TooManyRequests(
                    f"{format_count(number, 'upload is', 'uploads are')} pending, with {size} bytes in all, and "
                    f"{_MOST_PENDING} with {_MOST_PENDING_BYTES} are the most. Complete or cancel some; they also end "
                    "after an hour.",
                    code="too_many_uploads",
                )
            row = UploadRow(
                id=new_id("upload_"),
                created_at=now,
                filename=request.filename,
                purpose=request.purpose,
                bytes=request.bytes,
                status="pending",
                expires_at=now + _LIFE_SECONDS,
                file_seconds=request.expires_after and request.expires_after.seconds,
                file_id=None,
            )
            UploadRepository(session, self._tenant).add(row)
            await self._storage.admit(session, self._tenant, row.bytes)
        return _schema(row)

    async def add_part(self, upload_id: str, body: AsyncIterator[bytes], content_type: str) -> UploadPart:
        """Keep a part of a pending upload. The same bytes once more, after a lost answer, take no more room.

        Raises:
            BadRequest: The form is no good, the upload has ended, or its parts are more than it announced.
            PayloadTooLarge: The part has more than 64 MB.
        """
        async with self._database.read() as session:
            await self._get_pending(session, upload_id)
        form = UploadForm(content_type, part="data", shape="the part 'data'")
        async with aclosing(_limit_part(form.read_file_bytes(body))) as data:
            artifact = await self._artifacts.put(data)
        async with self._database.begin() as session:
            upload = await self._lock_pending(session, upload_id)
            parts = UploadPartRepository(session, self._tenant)
            present = await parts.list_of(upload_id)
            sizes = {part.digest: part.bytes for part in present} | {artifact.digest: artifact.size}
            if sum(sizes.values()) > upload.bytes or len(present) >= MAX_PARTS:
                # The part's bytes are nobody's: a worker's sweep removes them.
                raise BadRequest(
                    f"With this part the upload has {sum(sizes.values())} bytes in "
                    f"{format_count(len(present) + 1, 'part')}; it announced {upload.bytes} bytes, and {MAX_PARTS} "
                    "parts are the most. Cancel it and begin another.",
                    param="data",
                    code="upload_too_large",
                )
            row = UploadPartRow(
                id=new_id("part_"),
                created_at=int(time.time()),
                upload_id=upload_id,
                digest=artifact.digest,
                bytes=artifact.size,
            )
            parts.add(row)
        return UploadPart(id=row.id, created_at=row.created_at, upload_id=upload_id)

    async def complete(self, upload_id: str, request: UploadComplete) -> Upload:
        """Make a file of the parts in this order. A completed upload says so again, whatever it is asked for.

        Raises:
            BadRequest: It has ended otherwise, a part isn't its own, or the bytes aren't those that were announced.
        """
        async with self._database.read() as session:
            upload = await UploadRepository(session, self._tenant).get(upload_id, param="upload_id")
            if upload.status == "completed":
                return await self._with_file(session, upload)
            upload = await self._get_pending(session, upload_id)
            rows = {part.id: part for part in await UploadPartRepository(session, self._tenant).list_of(upload_id)}
        parts = _choose_parts(rows, request.part_ids, upload)
        whole = hashlib.md5(usedforsecurity=False)
        artifact = await self._artifacts.put(_read([self._artifacts.locate_file(part.digest) for part in parts], whole))
        if request.md5 is not None and request.md5.lower() != whole.hexdigest():
            await self._collect(artifact.digest)
            raise BadRequest(
                f"The file's MD5 is {whole.hexdigest()}, and {request.md5} was announced: a part was damaged on its "
                "way, or their order is another. Complete it in the right order, or send the part again.",
                param="md5",
                code="md5_mismatch",
            )
        if upload.purpose == "fine-tune":
            await check_rows(self._database, self._artifacts, self._tenant, artifact.digest)
        return await self._finish(upload_id, artifact.digest)

    async def _finish(self, upload_id: str, digest: str) -> Upload:
        async with self._database.begin() as session:
            upload = await UploadRepository(session, self._tenant).lock(upload_id)
            if upload is not None and upload.status == "completed":  # by another call, meanwhile
                return await self._with_file(session, upload)
            upload = await self._lock_pending(session, upload_id)
            now = int(time.time())
            file = FileRow(
                id=new_id("file-"),
                created_at=now,
                filename=upload.filename,
                purpose=upload.purpose,
                digest=digest,
                bytes=upload.bytes,
                expires_at=None if upload.file_seconds is None else now + upload.file_seconds,
            )
            FileRepository(session, self._tenant).add(file)
            upload.status, upload.file_id = "completed", file.id
            await self._drop_parts(session, upload_id)
            return _schema(upload, file)

    async def cancel(self, upload_id: str) -> Upload:
        """Give an upload up; its parts are collected. One that was given up already stays so.

        Raises:
            BadRequest: It is completed.
        """
        async with self._database.begin() as session:
            upload = await UploadRepository(session, self._tenant).get(upload_id, param="upload_id")
            if upload.status == "completed":
                raise _refuse_change(upload)
            if upload.status == "pending":
                upload = await UploadRepository(session, self._tenant).lock(upload_id) or upload
                upload.status = "cancelled"
                await self._drop_parts(session, upload_id)
            return _schema(upload)

    async def _drop_parts(self, session: AsyncSession, upload_id: str) -> None:
        digests = await UploadPartRepository(session, self._tenant).delete_of(upload_id)
        await collect_later(session, self._tenant, digests)

    async def _collect(self, digest: str) -> None:
        async with self._database.begin() as session:
            await collect_later(session, self._tenant, [digest])

    async def _get_pending(self, session: AsyncSession, upload_id: str) -> UploadRow:
        return _check_pending(await UploadRepository(session, self._tenant).get(upload_id, param="upload_id"))

    async def _lock_pending(self, session: AsyncSession, upload_id: str) -> UploadRow:
        upload = await UploadRepository(session, self._tenant).lock(upload_id)
        return await self._get_pending(session, upload_id) if upload is None else _check_pending(upload)

    async def _with_file(self, session: AsyncSession, upload: UploadRow) -> Upload:
        file = await FileRepository(session, self._tenant).find(upload.file_id or "")
        return _schema(upload, file)


def _choose_parts(rows: Mapping[str, UploadPartRow], ids: Sequence[str], upload: UploadRow) -> list[UploadPartRow]:
    """Return the parts in their order, if they are the upload's and together as large as it announced."""
    for number, id in enumerate(ids):
        if id not in rows or id in ids[:number]:
            problem = "twice" if id in rows else "and it is no part of this upload"
            raise BadRequest(f"part_ids has {id!r} {problem}. Name each part once.", param=f"part_ids[{number}]")
    parts = [rows[id] for id in ids]
    size = sum(part.bytes for part in parts)
    if size != upload.bytes:
        raise BadRequest(
            f"These parts have {size} bytes in all, and the upload announced {upload.bytes}. Send what is missing, or "
            "cancel it and begin another.",
            param="part_ids",
            code="upload_incomplete",
        )
    return parts


def _check_pending(upload: UploadRow) -> UploadRow:
    if _status(upload) != "pending":
        raise _refuse_change(upload)
    return upload


def _refuse_change(upload: UploadRow) -> BadRequest:
    return BadRequest(
        f"The upload {upload.id!r} is {_status(upload)}, and only a pending one can be changed. Begin another.",
        param="upload_id",
        code="upload_ended",
    )


def _status(upload: UploadRow) -> str:
    expired = upload.status == "pending" and upload.expires_at <= time.time()
    return "expired" if expired else upload.status


async def _limit_part(data: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    size = 0
    async with aclosing(data) as pieces:
        async for piece in pieces:
            size += len(piece)
            if size > _MAX_PART_BYTES:
                raise PayloadTooLarge("A part has at most 64 MB. Send smaller ones.", param="data")
            yield piece
    if not size:
        raise BadRequest("The part is empty. Send one that has bytes.", param="data", code="empty_file")


async def _read(paths: Sequence[Path], whole: _Digest) -> AsyncGenerator[bytes]:
    """Yield the bytes of files one after another, and note them in a digest."""
    for path in paths:
        file = await asyncio.to_thread(path.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _READ_BYTES):
                whole.update(piece)
                yield piece
        finally:
            await asyncio.to_thread(file.close)


def _schema(upload: UploadRow, file: FileRow | None = None) -> Upload:
    return Upload.model_validate(
        {
            "id": upload.id,
            "bytes": upload.bytes,
            "created_at": upload.created_at,
            "filename": upload.filename,
            "purpose": upload.purpose,
            "status": _status(upload),
            "expires_at": upload.expires_at,
            "file": None if file is None else to_file_object(file),
        }
    )
