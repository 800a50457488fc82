"""The contests in feedback: answers to the same conversation against each other, and corrections against answers."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from gateway.feedback import FeedbackRow
from gateway.preferences.contest import Contest, LeftOut

__all__ = ["list_feedback_contests"]

_MOST_RATED_PAIRS = 50
"""Of one conversation; those that voters have chosen between come on top, as many as there are choices."""
_RATINGS = {"up": 1, "down": -1}

_Pair = tuple[str, str]


@dataclass(slots=True)
class _Answer:
    """An answer as its voters saw it.

    Attributes:
        messages: Its conversation.
        text: Its text.
        ratings: 1 for up, -1 for down, by voter.
        up: The number of ratings up.
        down: The number of ratings down.
        corrections: The replies as they should have been, by voter.
        beaten: The answers that it was preferred over, each with the voters.
        keys: The keys that ratings and corrections were sent with.
        choosing_keys: Those of the votes that preferred it over each answer.
    """

    messages: Sequence[Mapping[str, str]] | None = None
    text: str | None = None
    ratings: dict[str, int] = field(default_factory=dict[str, int])
    up: int = 0
    down: int = 0
    corrections: dict[str, str] = field(default_factory=dict[str, str])
    beaten: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    keys: set[str] = field(default_factory=set[str])
    choosing_keys: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))


def list_feedback_contests(rows: Sequence[FeedbackRow], *, corrections: bool) -> tuple[list[Contest], Counter[LeftOut]]:
    """List the contests of some feedback, and count those that would have been too many.

    Two answers to the same conversation are one where a voter preferred one of them, or where one is rated up and the
    other down: a rating up of one, and down of the other, are votes for it. A correction is one against the answer:
    each rating down, and each correction, is a vote for it. In each a voter has one vote.
    """
    answers = _collect(rows)
    pairs, left_out = _list_pairs(answers)
    contests = [_against(answers, *pair) for pair in pairs]
    if corrections:
        for id, one in answers.items():
            contests += _list_corrections(id, one)
    return contests, left_out


def _collect(rows: Sequence[FeedbackRow]) -> dict[str, _Answer]:
    answers: defaultdict[str, _Answer] = defaultdict(_Answer)
    for row in rows:
        own = answers[row.answer_id]
        if row.rating is not None:
            own.ratings[row.voter] = _RATINGS[row.rating]
            own.up += row.rating == "up"
            own.down += row.rating == "down"
        if row.corrected_reply is not None:
            own.corrections[row.voter] = row.corrected_reply
        keys = set[str]() if row.key is None else {row.key}
        if row.rating is not None or row.corrected_reply is not None:
            own.keys |= keys
        own.messages, own.text = own.messages or row.messages, own.text or row.reply
        if row.preferred_over is not None:
            other = answers[row.preferred_over]
            own.beaten[row.preferred_over].append(row.voter)
            own.choosing_keys[row.preferred_over] |= keys
            other.messages, other.text = other.messages or row.messages, other.text or row.other_reply
    return dict(answers)


def _list_pairs(answers: Mapping[str, _Answer]) -> tuple[list[_Pair], Counter[LeftOut]]:
    """List the pairs of answers that voters have compared: one over the other, or each for itself."""
    choices = {_order(id, other): None for id, one in answers.items() for other in one.beaten}
    rated: defaultdict[bytes, list[str]] = defaultdict(list)
    for id, one in answers.items():
        if one.messages is not None and one.ratings:
            rated[msgspec.json.encode(one.messages)].append(id)
    pairs = dict(choices)
    surplus = 0
    for ids in rated.values():
        up = sorted(id for id in ids if answers[id].up)
        down = sorted(id for id in ids if answers[id].down)
        some = list(islice(_pair_rated(up, down, choices), _MOST_RATED_PAIRS))
        pairs |= dict.fromkeys(some)
        if len(some) == _MOST_RATED_PAIRS:
            both = len({*up} & {*down})
            apart = len(up) * len(down) - both - both * (both - 1) // 2
            surplus += apart - len(some) - _count_chosen(answers, {*up}, {*down})
    return list(pairs), +Counter[LeftOut]({"surplus_pair": surplus})


def _pair_rated(up: Sequence[str], down: Sequence[str], choices: Mapping[_Pair, None]) -> Iterator[_Pair]:
    """Pair answers that are rated up with those rated down, each with one before any with a second."""
    rated_pairs: set[_Pair] = set()
    for shift in range(len(down)):
        for at, id in enumerate(up):
            other = down[(at + shift) % len(down)]
            pair = _order(id, other)
            if id != other and pair not in choices and pair not in rated_pairs:
                rated_pairs.add(pair)
                yield pair


def _count_chosen(answers: Mapping[str, _Answer], up: set[str], down: set[str]) -> int:
    """Count the pairs of one rated up with one rated down that voters have chosen between besides."""
    choices = {(id, other) for id in up | down for other in answers[id].beaten if other in up or other in down}
    return len({_order(*pair) for pair in choices if _is_rated(*pair, up, down)})


def _is_rated(one: str, other: str, up: set[str], down: set[str]) -> bool:
    return (one in up and other in down) or (one in down and other in up)


def _order(one: str, other: str) -> _Pair:
    return (one, other) if one < other else (other, one)


def _against(answers: Mapping[str, _Answer], first: str, second: str) -> Contest:
    one, other = answers[first], answers[second]
    keys = one.keys | other.keys | one.choosing_keys.get(second, set()) | other.choosing_keys.get(first, set())
    if len(one.ratings) >= len(other.ratings):
        wins, losses, ties = _count_votes(one, other, one.beaten.get(second, ()), other.beaten.get(first, ()))
    else:
        losses, wins, ties = _count_votes(other, one, other.beaten.get(first, ()), one.beaten.get(second, ()))
    return Contest(
        messages=one.messages or (),
        replies=(one.text or "", other.text or ""),
        answers=(first, second),
        votes=(wins, losses, ties),
        keys=len(keys),
        fault=_find_fault(one, other),
    )


def _find_fault(one: _Answer, other: _Answer) -> LeftOut | None:
    if one.messages is None or other.messages is None or not one.text or not other.text:
        return "no_texts"
    return None if one.messages == other.messages else "different_messages"


def _count_votes(one: _Answer, other: _Answer, preferred: Sequence[str], beaten: Sequence[str]) -> tuple[int, int, int]:
    """Count the voters for one answer, for the other, and for neither.

    A voter's choice between the two says more than the ratings; both rated alike is a vote for neither. It takes the
    time of the other's ratings only: one answer with very many may be in very many pairs.

    Args:
        one: An answer.
        other: Another one, with as many ratings at most.
        preferred: The voters that preferred the first one.
        beaten: The voters that preferred the other one.
    """
    opinions = {voter: one.ratings.get(voter, 0) - rating for voter, rating in other.ratings.items()}
    choices = Counter(preferred)
    choices.subtract(beaten)
    opinions |= choices
    votes = Counter(one.ratings.get(voter) for voter in opinions)
    wins, losses = one.up - votes[1], one.down - votes[-1]
    for opinion in opinions.values():
        wins += opinion > 0
        losses += opinion < 0
    return wins, losses, sum(not opinion for opinion in opinions.values())


def _list_corrections(id: str, answer: _Answer) -> list[Contest]:
    # Who corrects an answer and rates it has said one thing: that the correction is better.
    also = Counter(answer.ratings.get(voter) for voter in answer.corrections)
    against, right = answer.down - also[-1] + len(answer.corrections), answer.up - also[1]
    return [
        Contest(
            messages=answer.messages or (),
            replies=(text, answer.text or ""),
            answers=(None, id),
            votes=(against, right, 0),
            corrected=True,
            keys=len(answer.keys),
            fault=None if answer.messages and answer.text else "no_texts",
        )
        for text in dict.fromkeys(answer.corrections.values())
    ]
