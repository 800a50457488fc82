"""Intercom's conversations with their parts, as its API has them."""

import re

from gateway.conversations.conversation import Import
from gateway.conversations.records import Record, as_dict, as_list, as_text, as_time, read_records
from gateway.conversations.threads import Post, Side, Thread, choose_text, read_threads

__all__ = ["read_intercom"]

_SIDES: dict[str, Side] = {
    **dict.fromkeys(("user", "lead", "contact", "visitor"), "user"),
    **dict.fromkeys(("admin", "teammate", "team"), "assistant"),
}

_OPERATOR = re.compile(r"operator\+[^@]*@intercom\.io")
"""The address of Intercom's own bot, which older versions of its API show as an admin."""


def read_intercom(text: str) -> Import:
    """Read conversations with `source` (older: `conversation_message`) and `conversation_parts`.

    Parts with a text are messages, whatever their `part_type`, since a reply may close or assign a conversation; those
    whose type begins with `note` are internal. Bots' words, and those that the AI agent wrote, are nobody's voice; of
    redacted parts nothing is left.
    """
    records, problems = read_records(text, ("conversations", "data"))
    return read_threads(records, problems, _to_thread)


def _to_thread(number: int, conversation: Record) -> Thread:
    source = as_dict(conversation.get("source")) or as_dict(conversation.get("conversation_message"))
    parts = conversation.get("conversation_parts")
    replies = as_list(parts) or as_list(as_dict(parts).get("conversation_parts"))
    posts = [_to_post(as_dict(part)) for part in (source, *replies)]  # the source has no time, and so is the first
    return Thread(number, as_text(conversation.get("id")), [post for post in posts if post.text])


def _to_post(part: Record) -> Post:
    author = as_dict(part.get("author"))
    written_by_ai = author.get("from_ai_agent") is True or author.get("is_ai_answer") is True
    is_bot = written_by_ai or _OPERATOR.fullmatch(as_text(author.get("email")))
    side = None if is_bot else _SIDES.get(as_text(author.get("type")))
    internal = as_text(part.get("part_type")).startswith("note")
    text = "" if part.get("redacted") is True else choose_text("", as_text(part.get("body")))
    return Post(side, text, as_text(author.get("id")), as_time(part.get("created_at")), internal)
