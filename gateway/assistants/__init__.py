"""Assistants: their releases, and which release gets which share of the traffic."""

from gateway.assistants.tables import AssistantRow, ReleaseRow

__all__ = ["AssistantRow", "ReleaseRow"]
