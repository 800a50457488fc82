"""The outcome of the votes on a comparison: the win rate with its interval, and how far voters agree."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from gateway.comparisons.schemas import Agreement, ComparisonSummary, Figure
from gateway.comparisons.tables import ComparisonRow, ComparisonVoteRow
from gateway.evaluation.estimate import Estimate, mean, share

__all__ = ["measure_agreement", "summarise"]

_SCORES = {"a": 1.0, "tie": 0.5, "b": 0.0}


def summarise(
    comparison: ComparisonRow, swapped: Mapping[str, bool], votes: Sequence[ComparisonVoteRow]
) -> ComparisonSummary:
    """Return the summary; `swapped` says of each item, by id, whether side b stands left."""
    by_item: defaultdict[str, list[str]] = defaultdict(list)
    for vote in votes:
        by_item[vote.item_id].append(vote.preferred)
    scores = [sum(_SCORES[vote] for vote in item) / len(item) for item in by_item.values()]
    wins = [item.count("a") - item.count("b") for item in by_item.values()]
    decided = [won > 0 for won in wins if won]
    left = [(vote.preferred == "b") == swapped[vote.item_id] for vote in votes if vote.preferred != "tie"]
    return ComparisonSummary(
        comparison_id=comparison.id,
        models=comparison.models,
        items=len(swapped),
        voted=len(by_item),
        votes=len(votes),
        voters=len({vote.voter for vote in votes}),
        wins_a=sum(decided),
        wins_b=len(decided) - sum(decided),
        ties=len(wins) - len(decided),
        win_rate=_to_figure(share(decided)) if decided else None,
        score=_to_figure(mean(scores)) if scores else None,
        left_share=_to_figure(share(left)) if left else None,
        agreement=measure_agreement(list(by_item.values())),
    )


def measure_agreement(items: Sequence[Sequence[str]]) -> Agreement | None:
    """Measure how far votes on the same items agree; None where no item has two votes.

    Alpha is Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", for nominal data with missing values: from
    the coincidences of values within items, each item's weighed by 1 / (votes - 1).
    """
    paired = [Counter(votes) for votes in items if len(votes) > 1]
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
