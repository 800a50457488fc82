"""The contests of a comparison: its sides by the votes on each item, and corrections of what voters preferred."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.comparisons import ComparisonItemRow, ComparisonVoteRow
from gateway.comparisons.sides import Side, SideAnswer
from gateway.preferences.contest import Contest

__all__ = ["list_comparison_contests"]


def list_comparison_contests(
    items: Sequence[tuple[ComparisonItemRow, Sequence[ComparisonVoteRow]]], side: Side, *, corrections: bool
) -> list[Contest]:
    """List the contests of some items with their votes.

    Args:
        items: All of the comparison.
        side: The one whose prompts rows are to be rendered with.
        corrections: Whether voters' own replies are contests too.
    """
    contests: list[Contest] = []
    for item, votes in items:
        if item.error is not None:
            contests.append(Contest(item.messages, ("", ""), (None, None), (0, 0, 0), fault="not_answered"))
            continue
        answers = msgspec.convert(item.answers, list[SideAnswer])
        contests.append(_between_sides(item, answers, votes, side))
        if corrections:
            contests += _corrections(item, answers, votes, side)
    return contests


def _between_sides(
    item: ComparisonItemRow, answers: Sequence[SideAnswer], votes: Sequence[ComparisonVoteRow], side: Side
) -> Contest:
    first, second = answers
    preferred = [vote.preferred for vote in votes]
    return Contest(
        messages=item.messages,
        replies=(first.text, second.text),
        answers=(first.answer_id, second.answer_id),
        votes=(preferred.count("a"), preferred.count("b"), preferred.count("tie")),
        prompt=answers["ab".index(side)].prompt,
        fault=_find_fault(answers),
    )


def _corrections(
    item: ComparisonItemRow, answers: Sequence[SideAnswer], votes: Sequence[ComparisonVoteRow], side: Side
) -> list[Contest]:
    """Return each correction over the reply that its voter liked best, over both where that was neither."""
    return [
        Contest(
            messages=item.messages,
            replies=(vote.corrected_reply, answer.text),
            answers=(None, answer.answer_id),
            votes=(1, 0, 0),
            corrected=True,
            prompt=answers["ab".index(side)].prompt,
        )
        for vote in votes
        if vote.corrected_reply is not None
        for name, answer in zip("ab", answers, strict=True)
        if vote.preferred in (name, "tie")
    ]


def _find_fault(answers: Sequence[SideAnswer]) -> Literal["cut_off"] | None:
    return "cut_off" if any(answer.finish_reason == "length" for answer in answers) else None
