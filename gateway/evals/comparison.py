"""Two runs over the same rows, row by row: the paired difference that a gate may decide by."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from gateway.evals.repository import RowResult
from gateway.evals.schemas import CriterionDifference, EvalRunDifference, PairedDifference
from gateway.evals.tables import EvalRunRow
from gateway.evaluation.estimate import estimate_mean_difference

__all__ = ["compare_runs", "pair_rows"]

Key = tuple[bytes, int]


def compare_runs(
    run: EvalRunRow,
    baseline: EvalRunRow,
    rows: Sequence[RowResult],
    baseline_rows: Sequence[RowResult],
    criteria: Sequence[str],
) -> EvalRunDifference:
    """Return the differences of two runs of one eval, the run's less the baseline's, with 95 % bootstrap intervals.

    Rows are a pair where they are equal; of several equal ones the first is paired with the first. A row with an error
    doesn't pass; its scores are left out, so that `n` of a criterion may be less than the number of pairs.

    Args:
        run: The run.
        baseline: The run that it is held against.
        rows: The run's outcomes, in the order of its data.
        baseline_rows: The baseline's.
        criteria: The names of the eval's criteria.
    """
    pairs = pair_rows(rows, baseline_rows)
    return EvalRunDifference(
        run_id=run.id,
        baseline_id=baseline.id,
        complete=run.status == baseline.status == "succeeded",
        pairs=len(pairs),
        unpaired=len(rows) + len(baseline_rows) - 2 * len(pairs),
        passes=_estimate([(float(one.passed), float(other.passed)) for one, other in pairs]),
        criteria=[
            CriterionDifference(testing_criteria=name, scores=_estimate(_list_scores(pairs, index)))
            for index, name in enumerate(criteria)
        ],
    )


def pair_rows(rows: Sequence[RowResult], baseline_rows: Sequence[RowResult]) -> list[tuple[RowResult, RowResult]]:
    """Return the rows that both runs have, see `compare_runs`."""
    others = dict(_name_rows(baseline_rows))
    return [(row, others[key]) for key, row in _name_rows(rows) if key in others]


def _name_rows(rows: Sequence[RowResult]) -> Iterator[tuple[Key, RowResult]]:
    """Yield each row with its content, and the number of equal ones before it."""
    counts: Counter[bytes] = Counter()
    for row in rows:
        content = msgspec.json.encode(row.item, order="sorted")
        yield (content, counts[content]), row
        counts[content] += 1


def _list_scores(pairs: Sequence[tuple[RowResult, RowResult]], index: int) -> list[tuple[float, float]]:
    """Return the scores of those pairs that have both, by one criterion."""
    scores = [(one.score(index), other.score(index)) for one, other in pairs]
    return [(score, other) for score, other in scores if score is not None and other is not None]


def _estimate(scores: Sequence[tuple[float, float]]) -> PairedDifference | None:
    if not scores:
        return None
    estimate = estimate_mean_difference([score for score, _ in scores], [other for _, other in scores])
    return PairedDifference(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n)
