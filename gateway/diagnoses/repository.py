from gateway.db import Repository
from gateway.diagnoses.tables import DiagnosisRow

__all__ = ["DiagnosisRepository"]


class DiagnosisRepository(Repository[DiagnosisRow]):
    table = DiagnosisRow
    noun = "diagnosis"
