from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.ranking_metrics import METRICS, score_rankings


def compute(grades: dict[str, int], ranking: list[str]) -> dict[str, float]:
    """The definitions, written out."""
    relevant = {name for name, grade in grades.items() if grade > 0}
    gain = sum(max(grades.get(name, 0), 0) / log2(place + 2) for place, name in enumerate(ranking[:10]))
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    best = sum(grade / log2(place + 2) for place, grade in enumerate(ideal))
    first = next((place for place, name in enumerate(ranking, 1) if name in relevant), None)
    return {
        "ndcg@10": gain / best,
        "recall@5": len(relevant & set(ranking[:5])) / len(relevant),
        "recall@20": len(relevant & set(ranking[:20])) / len(relevant),
        "mrr": 1 / first if first else 0.0,
    }


def test_the_metrics_are_those_by_hand() -> None:
    scores = score_rankings({"q": {"a": 1, "b": 2, "z": 0}}, {"q": ["z", "b", "x", "y", "w", "a"]})["q"]
    assert scores["mrr"] == 0.5
    assert scores["recall@5"] == 0.5
    assert scores["recall@20"] == 1.0
    assert scores["ndcg@10"] == pytest.approx((2 / log2(3) + 1 / log2(7)) / (2 + 1 / log2(3)))


def test_a_question_without_hits_scores_0_and_others_are_not_counted() -> None:
    nothing = dict.fromkeys(METRICS, 0.0)
    assert score_rankings({"q": {"a": 1}, "p": {"b": 1}}, {"q": [], "other": ["a"]}) == {"q": nothing, "p": nothing}
    assert score_rankings({}, {"q": ["a"]}) == {}


NAMES = st.sampled_from([f"d{number}" for number in range(30)])


@given(
    st.dictionaries(NAMES, st.integers(-1, 3), min_size=1).filter(lambda grades: max(grades.values()) > 0),
    st.lists(NAMES, unique=True, max_size=30),
)
def test_the_package_agrees_with_the_definitions(grades: dict[str, int], ranking: list[str]) -> None:
    scores = score_rankings({"q": grades}, {"q": ranking})["q"]
    assert scores == pytest.approx(compute(grades, ranking), abs=1e-9)
