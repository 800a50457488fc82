"""A tenant's conversations in two halves: one to learn from, and one that nothing has learnt, which is asked."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.answering.question import Message
from gateway.conversations.conversation import Conversation
from gateway.gates.held_out_rows import HeldOutRow

__all__ = ["Halves", "choose_rows", "split_halves", "to_row"]


@dataclass(frozen=True, slots=True)
class Halves:
    """The halves.

    Attributes:
        training: What rules and examples come from, or an adapter has learnt.
        held_out: What is asked.
        learnt: How many conversations of the file the adapter has learnt word by word.
    """

    training: list[Conversation]
    held_out: list[Conversation]
    learnt: int


def split_halves(conversations: Sequence[Conversation], learnt: Collection[tuple[str, str]] = ()) -> Halves:
    """Split conversations, the same way each time; conversations of one thread or with one question stay together.

    Args:
        conversations: All of them; each ends with a reply to a user.
        learnt: Questions with their replies that an adapter has learnt; where there are some of them, what it hasn't
            learnt is held out.
    """
    groups: dict[str, list[Conversation]] = {}
    for one in conversations:
        groups.setdefault(_name_group(one), []).append(one)
    training: list[Conversation] = []
    held_out: list[Conversation] = []
    number = sum(_is_learnt(one, learnt) for one in conversations)
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()):
        group = groups[name]
        if number:
            side = training if any(_is_learnt(one, learnt) for one in group) else held_out
        else:
            side = training if len(training) <= len(held_out) else held_out
        side += group
    return Halves(training, held_out, number)


def choose_rows(conversations: Sequence[Conversation], most: int) -> list[Conversation]:
    """Return all of them, or of more than `most` every so manieth."""
    if len(conversations) <= most:
        return list(conversations)
    return [conversations[at * len(conversations) // most] for at in range(most)]


def to_row(conversation: Conversation, *, passages: bool) -> HeldOutRow:
    """Return a conversation as a row to be asked, with its own passages (none where it has none) or to be searched."""
    messages = [
        Message("system" if one.role == "developer" else one.role, one.text) for one in conversation.messages[:-1]
    ]
    own = list(conversation.passages or ()) if passages else None
    return HeldOutRow(conversation.number, messages, conversation.messages[-1].text, own)


def _name_group(conversation: Conversation) -> str:
    if conversation.id:
        return f"id:{conversation.id}"
    first = next((one.text for one in conversation.messages if one.role == "user"), "")
    return " ".join(first.casefold().split())


def _is_learnt(conversation: Conversation, learnt: Collection[tuple[str, str]]) -> bool:
    return (conversation.messages[-2].text, conversation.messages[-1].text) in learnt
