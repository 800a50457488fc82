"""Conversations as teams have them: read from any format, cleaned, checked, and told from facts before a training."""

from gateway.conversations.conversation import Conversation, UnusableFile, encode_conversations

__all__ = ["Conversation", "UnusableFile", "encode_conversations"]
