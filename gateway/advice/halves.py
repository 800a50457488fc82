"""A tenant's conversations in two halves: one to learn from, and one that nothing has learnt, which is asked."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.answering.question import Message
from gateway.conversations.conversation import Conversation
from gateway.gates.held_out_rows import HeldOutRow

__all__ = ["Halves", "split_halves", "to_row"]


@dataclass(frozen=True, slots=True)
class Halves:
    """The two halves of a tenant's conversations.

    Attributes:
        training: What rules and examples come from, or an adapter has learnt.
        held_out: What is asked.
        learnt: How many conversations of the file the adapter has learnt word by word.
    """

    training: list[Conversation]
    held_out: list[Conversation]
    learnt: int


def split_halves(conversations: Sequence[Conversation], known_pairs: Collection[tuple[str, str]] = ()) -> Halves:
    """Split conversations, the same way each time; conversations of one thread or with one question stay together.

    Args:
        conversations: All of them; each ends with a reply to a user.
        known_pairs: Questions with their replies that an adapter has learnt; where there are some of them, what it
            hasn't learnt is held out.
    """
    groups = _group(conversations)
    training: list[Conversation] = []
    held_out: list[Conversation] = []
    number = sum(_is_learnt(one, known_pairs) for one in conversations)
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()):
        group = groups[name]
        if number:
            side = training if any(_is_learnt(one, known_pairs) for one in group) else held_out
        else:
            side = training if len(training) <= len(held_out) else held_out
        side += group
    return Halves(training, held_out, number)


def to_row(conversation: Conversation, *, passages: bool) -> HeldOutRow:
    """Return a conversation as a row to be asked, with its own passages (none where it has none) or to be searched."""
    messages = [
        Message("system" if one.role == "developer" else one.role, one.text) for one in conversation.messages[:-1]
    ]
    own = list(conversation.passages or ()) if passages else None
    return HeldOutRow(conversation.number, messages, conversation.messages[-1].text, own)


def _group(conversations: Sequence[Conversation]) -> dict[str, list[Conversation]]:
    """Join conversations that have a key in common, also by way of others; each group has a name.

    The name is the least of its keys, so that it doesn't depend on the conversations' order.
    """
    parents: dict[str, str] = {}

    def find(key: str) -> str:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    keys = [_list_keys(one) for one in conversations]
    for first, *others in keys:
        least = find(first)
        for other in others:
            low, high = sorted((least, find(other)))
            parents[high] = least = low
    groups: dict[str, list[Conversation]] = {}
    for conversation, (first, *_) in zip(conversations, keys, strict=True):
        groups.setdefault(find(first), []).append(conversation)
    return groups


def _list_keys(conversation: Conversation) -> list[str]:
    """List what a conversation is told by: its opening, or with an id that and all that its user writes.

    By the opening alone threads that begin with "Hi" would be one.
    """
    texts = [" ".join(one.text.casefold().split()) for one in conversation.messages if one.role == "user"]
    if not conversation.id:
        return [f"asks:{texts[0] if texts else ''}"]
    asks = "\n".join(texts)
    return [f"asks:{asks}", f"id:{conversation.id}"]


def _is_learnt(conversation: Conversation, known_pairs: Collection[tuple[str, str]]) -> bool:
    return (conversation.messages[-2].text, conversation.messages[-1].text) in known_pairs
