"""Two models side by side: the same prompts answered by both, and votes by people who don't know whose is whose."""

from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow

__all__ = ["ComparisonItemRow", "ComparisonRow", "ComparisonVoteRow"]
