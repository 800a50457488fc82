"""Rows with the passages that serving would show for them, and some whose passages don't answer.

A row learns to answer from passages, so those that state its reply's values have to be among them. Rows from which the
answer was taken away, or for which the search has none, learn to say so: their reply becomes one of the tenant's own
words for having no answer, and never a sentence of this program's, nor the old reply with holes in it. Nor does a reply
stay that answers where a prompt says that no passage was found: it would teach to make answers up.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from gateway.conversations import Conversation, encode_conversations
from gateway.evaluation.values import TextValues, Value, find_values
from training.dataset import RowPassage

__all__ = [
    "GroundedRow",
    "RowSource",
    "choose_abstentions",
    "encode_rows",
    "list_abstentions",
    "make_abstention",
    "place_passages",
    "withhold",
]

RowSource = Literal["own", "searched", "not_searched", "nothing", "near_misses", "found_nothing", "left_out"]


@dataclass(frozen=True, slots=True)
class GroundedRow:
    """A row with its passages.

    Attributes:
        source: Where they are from: the row's own, searched, or (of small talk) not; or a searched row from which they
            were taken, all of them or those that answer; or one whose search found nothing or nothing likely: it has
            the tenant's words for that, or else it is left out.
        stating: The places of the passages that state a value of its reply which the conversation doesn't.
        unanswered: Whether the reply has such values, and no passage states any.
    """

    conversation: Conversation
    source: RowSource
    stating: frozenset[int] = frozenset()
    unanswered: bool = False

    @classmethod
    def of(cls, conversation: Conversation, source: RowSource) -> "GroundedRow":
        """Look for a row's values in its passages."""
        context = TextValues.of("\n".join(one.text for one in conversation.messages if not one.is_target))
        values = [value for reply in conversation.replies for value in find_values(reply) if not context.states(value)]
        passages = conversation.passages or ()
        stating = frozenset(place for place, passage in enumerate(passages) if _states_any(passage, values))
        return cls(conversation, source, stating, bool(values) and not stating)

    @property
    def distractors(self) -> list[RowPassage]:
        """The passages that state nothing of the reply."""
        passages = self.conversation.passages or ()
        return [passage for place, passage in enumerate(passages) if place not in self.stating]


def place_passages(row: GroundedRow, stating: Sequence[RowPassage], most: int, seed: int) -> GroundedRow:
    """Return a row with the passages that were found for its question, and among them those that state its reply.

    Those that the search for the question didn't find go to places drawn by seed and row; for their sake the worst of
    the others go, so that there are at most `most`.
    """
    passages = list(row.conversation.passages or ())
    room = most - len(row.stating)
    missing = [passage for passage in dict.fromkeys(stating) if passage not in passages][: max(room, 0)]
    for place in range(len(passages) - 1, -1, -1):
        if len(passages) + len(missing) > most and place not in row.stating:
            del passages[place]
    rng = _draw(seed, row.conversation.number, "place")
    for passage in missing:
        passages.insert(rng.randint(0, len(passages)), passage)
    return GroundedRow.of(msgspec.structs.replace(row.conversation, passages=passages), row.source)


def list_abstentions(rows: Sequence[GroundedRow]) -> list[str]:
    """List the replies of rows that came with an empty list of passages: what the tenant says then.

    A row that was searched for here and got none has its usual reply, which says nothing of having no answer.
    """
    own = [row.conversation for row in rows if row.source == "own"]
    return list(dict.fromkeys(one.messages[-1].text for one in own if one.passages == []))


def choose_abstentions(rows: Sequence[GroundedRow], share: float, seed: int) -> set[int]:
    """Return the numbers of the rows to take the answer from: a share of the searched ones that have one."""
    answered = [row.conversation.number for row in rows if row.source == "searched" and row.stating]
    answered.sort(key=lambda number: _digest(seed, number, "without"))
    return set(answered[: round(share * len(answered))])


def withhold(row: GroundedRow, abstentions: Sequence[str], seed: int) -> GroundedRow:
    """Take a row's answer away: all passages from one half of the rows, and from the other those that state it.

    The better reply of a preference becomes the worse one: it would be made up now.
    """
    rng = _draw(seed, row.conversation.number, "without")
    near = row.distractors if rng.random() < 0.5 else []
    *turns, reply = row.conversation.messages
    turns.append(msgspec.structs.replace(reply, content=rng.choice(abstentions)))
    rejected = None if row.conversation.rejected is None else reply.text
    conversation = msgspec.structs.replace(row.conversation, messages=turns, passages=near, rejected=rejected)
    return GroundedRow(conversation, "near_misses" if near else "nothing")


def make_abstention(row: GroundedRow, abstentions: Sequence[str], seed: int) -> GroundedRow:
    """Return a row whose search found nothing with one of the words for that, or else as one that is left out."""
    if not abstentions:
        return replace(row, source="left_out")
    if row.conversation.messages[-1].text in abstentions:
        return replace(row, source="found_nothing")
    return replace(withhold(row, abstentions, seed), source="found_nothing")


def encode_rows(conversations: Sequence[Conversation]) -> bytes:
    """Return rows as JSONL in which each has the line of its number, as in its owner's file."""
    lines = [b"\n"] * max((one.number for one in conversations), default=0)
    for one in conversations:
        lines[one.number - 1] = encode_conversations([one])
    return b"".join(lines)


def _states_any(passage: RowPassage, values: Sequence[Value]) -> bool:
    evidence = TextValues.of(f"{passage.title}\n{passage.text}")
    return any(evidence.states(value) for value in values)


def _draw(seed: int, number: int, purpose: str) -> random.Random:
    return random.Random(_digest(seed, number, purpose))


def _digest(seed: int, number: int, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}:{purpose}".encode()).digest()[:8], "big")
