"""The advisor: what to use for a tenant's conversations, measured on those that nothing has learnt."""

__all__ = ["ADVICE"]

ADVICE = "advice"
"""The kind of its evaluations."""
