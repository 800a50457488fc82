from gateway.db import Repository
from gateway.diagnoses.tables import DiagnosisRow

__all__ = ["DiagnosisRepository"]


class DiagnosisRepository(Repository[DiagnosisRow]):
    table = DiagnosisRow
    noun = "diagnosis"

    async def lock(self, id: str) -> DiagnosisRow | None:
        """Find a diagnosis as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(DiagnosisRow.id == id))).one_or_none()
