"""A tenant's prompts: immutable versions, compiled by the top-level package `prompts`."""

from gateway.prompts.tables import PromptRow

__all__ = ["PromptRow"]
