from gateway.db import Repository
from gateway.evaluation_jobs.tables import EvaluationRow

__all__ = ["EvaluationRepository"]


class EvaluationRepository(Repository[EvaluationRow]):
    table = EvaluationRow
    noun = "evaluation"

    async def lock(self, id: str) -> EvaluationRow | None:
        """Find an evaluation as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(EvaluationRow.id == id))).one_or_none()
