"""The end of what has its time: files with an `expires_after`, and uploads in parts that nobody completed."""

import time
from collections.abc import Callable

from gateway.db import Database
from gateway.files.garbage_collection import collect_later
from gateway.files.repository import (
    FileRepository,
    UploadPartRepository,
    delete_old_uploads,
    list_expired_files,
    list_expired_uploads,
)
from gateway.files.service import FileUses

__all__ = ["Expiry"]

_BATCH = 100
_DAY_SECONDS = 86_400


class Expiry:
    """Ends what has expired, of all tenants.

    Args:
        database: The rows.
        uses: The nouns that a file's deletion has to tell.
        clock: Tells the Unix time, in place of this machine's clock.
    """

    def __init__(self, database: Database, uses: FileUses, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._uses = uses
        self._clock = clock

    async def expire_files(self) -> int:
        """Delete the files whose time has come, also from the stores that they are in; return the number.

        One per transaction: several would lock what their stores have in another order than deletions of clients do.
        """
        expired = 0
        while True:
            async with self._database.begin() as session:
                files = await list_expired_files(session, self._read_clock(), 1)
                for file in files:
                    await self._uses.let_go(session, file.tenant_id, file.id)
                    await FileRepository(session, file.tenant_id).delete(file)
                    await collect_later(session, file.tenant_id, [file.digest])
            if not files:
                return expired
            expired += 1

    async def expire_uploads(self) -> int:
        """End uploads that weren't completed in time, and return the number; their parts are collected.

        What has ended is kept for a day, so that its client learns how.
        """
        expired, now = 0, self._read_clock()
        while True:
            async with self._database.begin() as session:
                uploads = await list_expired_uploads(session, now, _BATCH)
                for upload in uploads:
                    upload.status = "expired"
                    digests = await UploadPartRepository(session, upload.tenant_id).delete_of(upload.id)
                    await collect_later(session, upload.tenant_id, digests)
                await delete_old_uploads(session, now - _DAY_SECONDS)
            expired += len(uploads)
            if len(uploads) < _BATCH:
                return expired

    def _read_clock(self) -> int:
        return int(time.time() if self._clock is None else self._clock())
