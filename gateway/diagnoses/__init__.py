"""Diagnoses: answers that failed are replayed with one strand changed at a time, to tell which of them was at fault."""

from gateway.diagnoses.tables import DiagnosisRow

__all__ = ["DiagnosisRow"]
