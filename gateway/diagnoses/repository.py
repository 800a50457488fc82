from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository
from gateway.diagnoses.tables import DiagnosisRow

__all__ = ["DiagnosisRepository", "delete_diagnoses"]


class DiagnosisRepository(Repository[DiagnosisRow]):
    table = DiagnosisRow
    noun = "diagnosis"

    async def lock(self, id: str) -> DiagnosisRow | None:
        """Find a diagnosis as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(DiagnosisRow.id == id))).one_or_none()


async def delete_diagnoses(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` diagnoses from before a Unix time and return the number; retention is of all tenants."""
    old = (
        select(DiagnosisRow.id).where(DiagnosisRow.finished_at < before).order_by(DiagnosisRow.finished_at).limit(limit)
    )
    statement = delete(DiagnosisRow).where(DiagnosisRow.id.in_(old)).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount
