"""The contests in feedback: answers to the same conversation against each other, and corrections against answers."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import msgspec

from gateway.feedback import FeedbackRow
from gateway.preferences.contest import Contest

__all__ = ["list_feedback_contests"]


@dataclass(slots=True)
class _Answer:
    """An answer as its voters saw it: its conversation and text, ratings, corrections, and answers that it beat."""

    messages: Sequence[Mapping[str, str]] | None = None
    text: str | None = None
    up: int = 0
    down: int = 0
    corrections: Counter[str] = field(default_factory=Counter[str])
    beaten: Counter[str] = field(default_factory=Counter[str])


def list_feedback_contests(rows: Sequence[FeedbackRow], *, corrections: bool) -> list[Contest]:
    """List the contests of some feedback.

    Two answers to the same conversation are one where a voter preferred one of them, or where both have ratings: a
    rating up of one, and down of the other, are votes for it. A correction is one against the answer: each rating down,
    and each correction, is a vote for it.
    """
    answers = _collect(rows)
    contests = [_against(answers, *pair) for pair in _list_pairs(answers)]
    if corrections:
        contests += [
            Contest(
                messages=one.messages or (),
                replies=(text, one.text or ""),
                answers=(None, id),
                votes=(one.down + one.corrections.total(), one.up, 0),
                corrected=True,
                fault=None if one.messages and one.text else "no_texts",
            )
            for id, one in answers.items()
            for text in one.corrections
        ]
    return contests


def _collect(rows: Sequence[FeedbackRow]) -> dict[str, _Answer]:
    answers: defaultdict[str, _Answer] = defaultdict(_Answer)
    for row in rows:
        own = answers[row.answer_id]
        own.up += row.rating == "up"
        # Who corrects an answer and rates it down has said one thing.
        own.down += row.rating == "down" and row.corrected_reply is None
        if row.corrected_reply is not None:
            own.corrections[row.corrected_reply] += 1
        own.messages, own.text = own.messages or row.messages, own.text or row.reply
        if row.preferred_over is not None:
            other = answers[row.preferred_over]
            own.beaten[row.preferred_over] += 1
            other.messages, other.text = other.messages or row.messages, other.text or row.other_reply
    return answers


def _list_pairs(answers: Mapping[str, _Answer]) -> list[tuple[str, str]]:
    """List the pairs of answers that voters have compared: one over the other, or each for itself."""
    pairs = {tuple(sorted((id, other))): None for id, one in answers.items() for other in one.beaten}
    rated: defaultdict[bytes, list[str]] = defaultdict(list)
    for id, one in answers.items():
        if one.messages is not None and one.up + one.down:
            rated[msgspec.json.encode(one.messages)].append(id)
    pairs |= {tuple(sorted(pair)): None for ids in rated.values() for pair in combinations(ids, 2)}
    return [(first, second) for first, second in pairs]


def _against(answers: Mapping[str, _Answer], first: str, second: str) -> Contest:
    one, other = answers[first], answers[second]
    known = one.messages is not None and one.messages == other.messages and one.text and other.text
    return Contest(
        messages=one.messages or (),
        replies=(one.text or "", other.text or ""),
        answers=(first, second),
        votes=(one.up + other.down + one.beaten[second], one.down + other.up + other.beaten[first], 0),
        fault=None if known else "no_texts",
    )
