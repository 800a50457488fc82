"""The outcome of the votes on a comparison: the win rate with its interval, and how far voters agree."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.comparisons.schemas import Agreement, ComparisonSummary, Figure
from gateway.comparisons.sides import to_place
from gateway.comparisons.tables import ComparisonRow
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_share

__all__ = ["measure_agreement", "summarise"]

_SCORES = {"a": 1.0, "tie": 0.5, "b": 0.0}


def summarise(
    comparison: ComparisonRow, swapped: Mapping[str, bool], votes: Mapping[str, Counter[str]], voters: int
) -> ComparisonSummary:
    """Return the summary.

    Args:
        comparison: The one that was voted on.
        swapped: Whether side b stands left in an item, by the item's id.
        votes: The number of votes for `a`, `b` and `tie` on an item, by the same; an item without votes isn't there.
        voters: The number of those who voted.
    """
    scores = [sum(_SCORES[vote] * number for vote, number in item.items()) / item.total() for item in votes.values()]
    wins = [item["a"] - item["b"] for item in votes.values()]
    decided = [won > 0 for won in wins if won]
    left_votes = [
        place == "left"
        for id, item in votes.items()
        for side in "ab"
        for place in [to_place(side, swapped=swapped[id])] * item[side]
    ]
    return ComparisonSummary(
        comparison_id=comparison.id,
        models=comparison.models,
        items=len(swapped),
        voted=len(votes),
        votes=sum(item.total() for item in votes.values()),
        voters=voters,
        wins_a=sum(decided),
        wins_b=len(decided) - sum(decided),
        ties=len(wins) - len(decided),
        win_rate=_to_figure(estimate_share(decided)) if decided else None,
        score=_to_figure(estimate_mean(scores)) if scores else None,
        left_share=_to_figure(estimate_share(left_votes)) if left_votes else None,
        agreement=measure_agreement(list(votes.values())),
    )


def measure_agreement(items: Sequence[Counter[str]]) -> Agreement | None:
    """Measure how far votes on the same items, counted by what they say, agree; None where no item has two votes.

    Alpha is Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", for nominal data with missing values: from
    the coincidences of values within items, each item's weighed by 1 / (votes - 1).
    """
    paired = [counts for counts in items if counts.total() > 1]
    if not paired:
        return None
    pairs = sum(counts.total() * (counts.total() - 1) for counts in paired)
    alike = sum(number * (number - 1) for counts in paired for number in counts.values())
    values = Counter[str]()
    for counts in paired:
        values += counts
    total = values.total()
    observed = sum(
        (counts.total() ** 2 - sum(number**2 for number in counts.values())) / (counts.total() - 1) for counts in paired
    )
    by_chance = (total**2 - sum(number**2 for number in values.values())) / (total - 1)
    return Agreement(items=len(paired), pairwise=alike / pairs, alpha=1 - observed / by_chance if by_chance else None)


def _to_figure(estimate: Estimate) -> Figure:
    return Figure(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, interval=estimate.interval)
