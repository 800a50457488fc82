from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository, delete_listed
from gateway.gates.tables import GateRow

__all__ = ["GateRepository", "delete_gates"]


class GateRepository(Repository[GateRow]):
    table = GateRow
    noun = "gate"

    async def find_of(self, assistant: str, number: int) -> GateRow | None:
        return await self.find_one(GateRow.assistant_id == assistant, GateRow.number == number)


async def delete_gates(session: AsyncSession, before: int, limit: int, releases: Collection[tuple[str, int]]) -> int:
    """Delete at most `limit` gates that ended before a Unix time and return the number; retention is of all tenants.

    Those of some `releases` (assistant and number) stay. The verdicts of the others do, too: releases have them.
    """
    query = select(GateRow.id, GateRow.assistant_id, GateRow.number).where(GateRow.finished_at < before)
    rows = (await session.execute(query.order_by(GateRow.finished_at))).all()
    ids = [id for id, assistant, number in rows if (assistant, number) not in releases][:limit]
    return await delete_listed(session, GateRow, ids)
