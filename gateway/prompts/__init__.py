"""A tenant's prompts: immutable versions, compiled by the top-level package `prompts`."""
