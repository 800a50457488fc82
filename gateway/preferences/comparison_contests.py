"""The contests of a comparison: its sides by the votes on each item, and corrections of what voters preferred."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.comparisons import ComparisonItemRow
from gateway.comparisons.comparison_votes import ComparisonVotes, Correction
from gateway.comparisons.sides import Side, SideAnswer
from gateway.preferences.contest import Contest, LeftOut

__all__ = ["list_comparison_contests"]


def list_comparison_contests(voted: ComparisonVotes, side: Side) -> tuple[list[Contest], Counter[LeftOut]]:
    """List the contests of a comparison's items, and count the corrections that weren't read.

    Args:
        voted: The items with their votes, and with the corrections that are contests too.
        side: The one whose prompts rows are to be rendered with.
    """
    contests: list[Contest] = []
    for item in voted.items:
        if item.error is not None:
            contests.append(Contest(item.messages, ("", ""), (None, None), (0, 0, 0), fault="not_answered"))
            continue
        answers = msgspec.convert(item.answers, list[SideAnswer])
        contests.append(_between_sides(item, answers, voted.votes.get(item.id, Counter()), side))
        contests += _corrections(item, answers, voted.corrections.get(item.id, ()), side)
    return contests, +Counter[LeftOut]({"older_votes": voted.older})


def _between_sides(item: ComparisonItemRow, answers: Sequence[SideAnswer], votes: Counter[str], side: Side) -> Contest:
    first, second = answers
    return Contest(
        messages=item.messages,
        replies=(first.text, second.text),
        answers=(first.answer_id, second.answer_id),
        votes=(votes["a"], votes["b"], votes["tie"]),
        prompt=answers["ab".index(side)].prompt,
        fault=_find_fault(answers),
    )


def _corrections(
    item: ComparisonItemRow, answers: Sequence[SideAnswer], corrections: Sequence[Correction], side: Side
) -> list[Contest]:
    """Return each correction over the reply that its voter liked best, over both where that was neither."""
    return [
        Contest(
            messages=item.messages,
            replies=(correction.text, answer.text),
            answers=(None, answer.answer_id),
            votes=(1, 0, 0),
            corrected=True,
            prompt=answers["ab".index(side)].prompt,
        )
        for correction in corrections
        for name, answer in zip("ab", answers, strict=True)
        if correction.preferred in (name, "tie")
    ]


def _find_fault(answers: Sequence[SideAnswer]) -> Literal["cut_off"] | None:
    return "cut_off" if any(answer.finish_reason == "length" for answer in answers) else None
