"""Votes on answers: up or down, one answer over another, and replies as they should have been."""

from gateway.feedback.tables import FeedbackRow

__all__ = ["FeedbackRow"]
