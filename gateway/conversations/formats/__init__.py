"""The formats that conversations are read from: a small file for each, and the table of all."""

from gateway.conversations.formats.registry import FORMATS, read_conversations

__all__ = ["FORMATS", "read_conversations"]
