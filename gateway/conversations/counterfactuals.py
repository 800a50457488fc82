"""Rows whose values differ from the documents' own, so that an adapter learns to read them and not to recite them.

A value that stands in a row's passages and in its reply is replaced in both by another one of its kind and form, drawn
anew for each row. A reply that was right stays right by its passages, and only by them. So a row's amounts or dates
stay where its reply has some that its passages don't state: these may be reckoned from those that they do, as sums are.
"""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gateway.conversations.conversation import Conversation
from gateway.conversations.value_forms import draw_value, rewrite_value
from gateway.evaluation.calendar_values import names_weekday
from gateway.evaluation.sizes import list_sizes
from gateway.evaluation.values import Kind, TextValues, Value, find_values
from training.dataset import RowPassage

__all__ = ["Coverage", "VariedRow", "vary_rows", "vary_values"]

_TRIES = 8

_RECKONED: Mapping[Kind, frozenset[Kind]] = {
    "money": frozenset({"money", "quantity", "number"}),
    "number": frozenset({"money", "quantity", "number"}),
    "quantity": frozenset({"money", "quantity", "number", "date", "time"}),
    "date": frozenset({"date", "time", "quantity"}),
    "time": frozenset({"date", "time", "quantity"}),
}
"""From which kinds a value may be reckoned."""


@dataclass(frozen=True, slots=True)
class VariedRow:
    """A row with other values; `varied` of the `supported` values that its passages and replies share are others."""

    conversation: Conversation
    varied: int
    supported: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of rows whose replies have another value than the documents, of those that share one with them."""

    varied: int
    rows: int

    @property
    def share(self) -> float:
        """The share of rows that got other values, from 0 to 1; 0 where no row has such a value."""
        return self.varied / self.rows if self.rows else 0.0


def vary_rows(conversations: Sequence[Conversation], seed: int) -> tuple[list[Conversation], Coverage]:
    """Return rows with other values, each drawn by the seed and the row's number, and how many they are."""
    rows = [vary_values(one, seed) for one in conversations]
    coverage = Coverage(sum(row.varied > 0 for row in rows), sum(row.supported > 0 for row in rows))
    return [row.conversation for row in rows], coverage


def vary_values(conversation: Conversation, seed: int) -> VariedRow:
    """Return a row with other values; equal arguments give equal rows.

    Values that are written in words, or in a form that can't be written anew for sure, stay in all places; so do those
    that a row has in several units (`2 m`, and `200 cm` in its reply), and those of several (`1 h 30 min`). Where a
    weekday is named, dates move by whole weeks.
    """
    texts = _list_texts(conversation)
    fixed = _find_fixed(conversation, texts)
    whole_weeks = any(map(names_weekday, (conversation.prompt, *texts.replies)))
    readings = [{value.readings[0] for value in find_values(text)} for text in texts.evidence]
    reply_readings = {value.readings[0] for text in texts.replies for value in find_values(text)}
    supported = sorted(reply_readings & {reading for some in readings for reading in some})
    rng = random.Random(_digest(f"{seed}:{conversation.number}:{'|'.join(supported)}"))
    varied = 0
    for reading in supported:
        if reading.partition(":")[0] in fixed:
            continue
        for _ in range(_TRIES):
            other = _replace(conversation, reading, draw_value(reading, rng, whole_weeks=whole_weeks))
            if other is not None:
                conversation, varied = other, varied + 1
                break
    return VariedRow(conversation, varied, len(supported))


@dataclass(frozen=True, slots=True)
class _Texts:
    evidence: list[str]
    replies: list[str]


def _list_texts(conversation: Conversation) -> _Texts:
    evidence = [text for one in conversation.passages or () for text in (one.title, one.text)]
    return _Texts(evidence, conversation.replies)


def _find_fixed(conversation: Conversation, texts: _Texts) -> set[Kind]:
    """Return the kinds of which a reply's values might be false if others were varied.

    A value that the question states is its own, unless it asks whether a sum is right.
    """
    passages, prompt = TextValues.of("\n".join(texts.evidence)), TextValues.of(conversation.prompt)
    fixed: set[Kind] = set()
    for value in (value for reply in texts.replies for value in find_values(reply)):
        if not passages.states(value):
            fixed |= {value.kind} if prompt.states(value) else _RECKONED.get(value.kind, frozenset())
    return fixed


def _replace(conversation: Conversation, reading: str, other: str | None) -> Conversation | None:
    """Return a row with one value for another in all its texts; None where one of them can't have it."""
    if other is None or other == reading:
        return None
    messages = [
        msgspec.structs.replace(one, content=text)
        for one in conversation.messages
        if (text := _rewrite(one.text, reading, other)) is not None
    ]
    passages = [
        RowPassage(title, text)
        for one in conversation.passages or ()
        if (title := _rewrite(one.title, reading, other)) is not None
        and (text := _rewrite(one.text, reading, other)) is not None
    ]
    rejected = None if conversation.rejected is None else _rewrite(conversation.rejected, reading, other)
    if len(messages) < len(conversation.messages) or len(passages) < len(conversation.passages or ()):
        return None
    if (rejected is None) != (conversation.rejected is None):
        return None
    return msgspec.structs.replace(conversation, messages=messages, passages=passages, rejected=rejected)


def _rewrite(text: str, reading: str, other: str) -> str | None:
    """Return a text with another value in all places of one; None where that isn't sure."""
    values = find_values(text)
    if any(_means(value, other) for value in values):
        return None  # two values would become one
    same = [value for value in values if _means(value, reading)]
    for value in reversed(same):
        is_sure = value.readings[0] == reading and not value.is_part
        spelling = rewrite_value(value, reading, other) if is_sure else None
        if spelling is None:
            return None
        text = f"{text[: value.start]}{spelling}{text[value.end :]}"
    return text if not same or _has_others(text, values, reading, other) else None


def _means(value: Value, reading: str) -> bool:
    """Tell whether a value is that of a reading, be it in another unit."""
    return reading in value.readings or not value.sizes.isdisjoint(list_sizes((reading,), ""))


def _has_others(text: str, before: Sequence[Value], reading: str, other: str) -> bool:
    """Tell whether a rewritten text has the values that it should have, read anew."""
    readings = [other if value.readings[0] == reading else value.readings[0] for value in before]
    return [value.readings[0] for value in find_values(text)] == readings


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(re.sub(r"\s+", " ", text).encode()).digest()[:8], "big")
