"""Evaluations as jobs: labelled questions in, a report of retrieval out."""

from gateway.evaluation_jobs.tables import EvaluationRow

__all__ = ["EvaluationRow"]
