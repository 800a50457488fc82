from gateway.db import Repository
from gateway.evaluation_jobs.tables import EvaluationRow

__all__ = ["EvaluationRepository"]


class EvaluationRepository(Repository[EvaluationRow]):
    table = EvaluationRow
    noun = "evaluation"
