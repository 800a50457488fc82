"""Rankings against labels: nDCG@10, recall at 5 and 20, and the reciprocal rank, by ir-measures."""

from collections.abc import Mapping, Sequence
from typing import Any

import ir_measures

__all__ = ["METRICS", "score_rankings"]

METRICS: tuple[str, ...] = ("ndcg@10", "recall@5", "recall@20", "mrr")

_MEASURES: dict[Any, str] = dict(
    zip(map(ir_measures.parse_measure, ("nDCG@10", "R@5", "R@20", "RR")), METRICS, strict=True)
)


def score_rankings(
    labels: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return every metric of every labelled question, by its id.

    Args:
        labels: Grades of documents, by question; each question has one above 0.
        rankings: Documents by question, the best first; a question without any scores 0.
    """
    if not labels:
        return {}
    # Ranks as scores: equal scores would be put in an order of ir-measures' own.
    run = {
        question: {document: float(len(ranking) - rank) for rank, document in enumerate(ranking)}
        for question, ranking in rankings.items()
        if question in labels
    }
    qrels = {question: dict(grades) for question, grades in labels.items()}
    scores = {question: dict.fromkeys(METRICS, 0.0) for question in labels}
    for score in ir_measures.iter_calc(list(_MEASURES), qrels, run):
        scores[score.query_id][_MEASURES[score.measure]] = float(score.value)
    return scores
