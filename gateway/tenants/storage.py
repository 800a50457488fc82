"""The bound on the bytes that a tenant stores, and what they are made of."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database, lock
from gateway.errors import PayloadTooLarge
from gateway.tenants.repository import ByteSums

__all__ = ["TenantStorage"]


class TenantStorage:
    """Measures what tenants store, and keeps each below the bound; the index and records of answers aren't counted.

    Bytes lie in the artifacts before a row refers to them, so what is refused here is removed by a worker's sweep.

    Args:
        database: The database in which it is looked up before bytes are read.
        kinds: All that is counted. Equal bytes count once for each row.
        limit: The most bytes of a tenant; 0: there is no bound.
        file_limit: The most bytes of a file that comes in one request.
    """

    def __init__(self, database: Database, kinds: Mapping[str, Select[str, int]], limit: int, file_limit: int) -> None:
        self.limit = limit
        self.file_limit = file_limit
        self._database = database
        self._kinds = tuple(kinds)
        self._sums = ByteSums(kinds)

    async def measure(self, session: AsyncSession, tenants: Collection[str]) -> dict[str, dict[str, int]]:
        """Return the bytes of each of these tenants, by kind."""
        bytes_by_kind = {tenant: dict.fromkeys(self._kinds, 0) for tenant in tenants}
        for kind, tenant, size in await self._sums.list_sums(session, tenants):
            bytes_by_kind[tenant][kind] = size
        return bytes_by_kind

    async def check_room(self, session: AsyncSession, tenant: str, size: int) -> None:
        """Refuse bytes that are still to come; others may take the room meanwhile, so `admit` decides.

        Raises:
            PayloadTooLarge: There is no room for so many.
        """
        if self.limit:
            bytes_by_kind = (await self.measure(session, [tenant]))[tenant]
            self._check(bytes_by_kind, sum(bytes_by_kind.values()), size)

    async def pass_on(self, tenant: str, parts: AsyncGenerator[bytes], *, announced: int = 1) -> AsyncGenerator[bytes]:
        """Pass bytes on while there is room for them: those that can't be kept are not written first.

        Raises:
            PayloadTooLarge: There is no room for the number that was `announced`, or for those that came.
        """
        totals: dict[str, int] = {}
        if self.limit:
            async with self._database.read() as session:
                totals = (await self.measure(session, [tenant]))[tenant]
            self._check(totals, sum(totals.values()), max(announced, 1))
        size = 0
        async with aclosing(parts) as pieces:
            async for piece in pieces:
                size += len(piece)
                self._check(totals, sum(totals.values()), size)
                yield piece

    async def admit(self, session: AsyncSession, tenant: str, size: int) -> None:
        """Refuse bytes whose row was added in this unit of work; of several at the same time the last sees the others.

        Call it last: until the unit of work ends no other one of this tenant is admitted.

        Raises:
            PayloadTooLarge: There is no room for them.
        """
        if self.limit:
            await session.flush()
            await lock(session, f"storage {tenant}")
            bytes_by_kind = (await self.measure(session, [tenant]))[tenant]
            self._check(bytes_by_kind, sum(bytes_by_kind.values()) - size, size)

    def _check(self, kinds: Mapping[str, int], total: int, size: int) -> None:
        if not self.limit or total + size <= self.limit or size <= 0:
            return
        parts = ", ".join(f"{name} {number}" for name, number in kinds.items() if number)
        raise PayloadTooLarge(
            f"Your storage has no room for {size} bytes: {total} of {self.limit} are in use ({parts or 'nothing'}). "
            "Delete what isn't needed (GET /api/storage says what takes the room), or ask the operator for more "
            "(tenant_storage_bytes).",
            code="storage_full",
        )
