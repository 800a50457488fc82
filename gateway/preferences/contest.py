"""Two replies to one conversation and the votes between them: who wins, and why many a contest has no winner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Contest", "LeftOut", "VoteRules", "find_winner"]

LeftOut = Literal[
    "unvoted",
    "too_few_votes",
    "too_few_keys",
    "tie",
    "disagreement",
    "not_answered",
    "cut_off",
    "no_texts",
    "same_replies",
    "duplicate",
    "no_record",
    "deleted_document",
    "different_passages",
    "different_messages",
    "different_prompt",
    "unusable",
    "surplus_pair",
    "older_votes",
]
"""The reasons for which a contest isn't a pair of the dataset; docs/preferences.md explains each."""


@dataclass(frozen=True, slots=True)
class VoteRules:
    """The agreement that a pair needs: at least `least_votes`, of which the winner has `least_share`.

    Where it is known by which keys votes were sent, they have to be of `least_keys`.
    """

    least_votes: int
    least_share: float
    least_keys: int = 1


@dataclass(frozen=True, slots=True)
class Contest:
    """Two replies to one conversation.

    Attributes:
        messages: The conversation, roles and texts, up to the user's last message.
        replies: The two texts.
        answers: The ids of the answers that they are; None for a reply that a voter wrote.
        votes: For the first one, for the second one, and for neither.
        corrected: Whether the first one is a voter's correction of the second: one that nobody contradicts wins.
        prompt: The digest of the prompt that the model to be trained was asked with, where it is known; see
            `gateway.comparisons.sides.digest_prompt`.
        keys: The number of keys that its votes were sent with; None where nobody counts them.
        fault: The reason that it can't be a pair whatever the votes say.
    """

    messages: Sequence[Mapping[str, str]]
    replies: tuple[str, str]
    answers: tuple[str | None, str | None]
    votes: tuple[int, int, int]
    corrected: bool = False
    prompt: str | None = None
    keys: int | None = None
    fault: LeftOut | None = None


def find_winner(contest: Contest, rules: VoteRules) -> Literal[0, 1] | LeftOut:
    """Return the index of the reply that voters agree on, or the reason that there is none."""
    first, second, ties = contest.votes
    total = first + second + ties
    if contest.fault is not None:
        return contest.fault
    if not total:
        return "unvoted"
    if total < (1 if contest.corrected else rules.least_votes):
        return "too_few_votes"
    if contest.keys is not None and rules.least_keys > max(1, contest.keys):
        return "too_few_keys"
    best = max(first, second)
    if first == second or ties >= best:
        return "tie"
    if best / total < rules.least_share:
        return "disagreement"
    if contest.replies[0].strip() == contest.replies[1].strip():
        return "same_replies"
    if contest.corrected and second > first:
        return "disagreement"  # a correction that others like less than the answer says nothing of its worth
    return 0 if first > second else 1
