"""OpenAI's Evals: criteria, runs over rows of data, and each row's answer with its grades."""

from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow

__all__ = ["EvalOutputItemRow", "EvalRow", "EvalRunRow"]
