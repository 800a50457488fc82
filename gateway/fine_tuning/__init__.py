"""OpenAI's fine-tuning jobs: a tenant's conversations in, an adapter in its style out."""

from gateway.fine_tuning.tables import FineTuningJobRow

__all__ = ["FineTuningJobRow"]
