import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.backends import Candidate
from retrieval.backends.reach import measure_reach, to_share
from retrieval.fusion import DENSE_WEIGHT, fuse, fuse_scores, measure_closeness, weigh
from retrieval.messages import Weights


def candidate(id_: str, dense: float, keyword: float) -> Candidate:
    return Candidate(id_, dense, keyword, {})


def test_scores_lie_between_0_and_1_and_grow_with_both() -> None:
    assert fuse_scores(-0.3, 0) == 0
    assert 0 < fuse_scores(0, 0.5) < fuse_scores(0, 1) < fuse_scores(0.5, 1) < fuse_scores(1, 1) <= 1


def test_unrelated_texts_count_nothing_whatever_cosine_an_embedder_gives_them() -> None:
    assert fuse_scores(0.75, 0, unrelated=0.75) == fuse_scores(0.05, 0, unrelated=0.05) == 0
    assert fuse_scores(1, 0, unrelated=0.75) == pytest.approx(fuse_scores(1, 0))
    assert fuse_scores(0.6, 0, unrelated=0.75) == 0


def test_a_share_is_of_what_the_corpus_lets_a_question_reach() -> None:
    # Two terms of weights 2 and 3, and one that nobody has.
    assert measure_reach([2.0, 3.0, 0.0], 3) == pytest.approx(1.1 * 5)
    assert measure_reach([2.0] * 48, 96) == pytest.approx(1.1 * 2 * 96)
    assert measure_reach([], 0) == 0
    assert (to_share(3, 6), to_share(9, 6), to_share(0, 0)) == (0.5, 1, 0)


def test_the_best_score_comes_first_and_equal_ones_in_the_order_of_ids() -> None:
    fused = fuse([candidate("c", 0.5, 0.2), candidate("a", 0.5, 0.2), candidate("b", 0.9, 0)], limit=3, threshold=None)
    assert [candidate.id for _, candidate in fused] == ["b", "a", "c"]


def test_the_threshold_is_about_the_passage_not_its_rank() -> None:
    bad = [candidate("a", 0.1, 0), candidate("b", 0.05, 0)]
    assert fuse(bad, limit=2, threshold=0.3) == []
    at = fuse_scores(0.6, 0.4)
    assert [score for score, _ in fuse([*bad, candidate("c", 0.6, 0.4)], limit=2, threshold=at)] == [pytest.approx(at)]


def test_no_more_candidates_come_back_than_the_limit() -> None:
    assert len(fuse([candidate(str(n), n / 10, 0) for n in range(9)], limit=4, threshold=None)) == 4


def test_weights_of_a_question_stand_in_for_the_fusions_own_and_only_their_ratio_counts() -> None:
    by_meaning, by_words = candidate("a", 0.9, 0.1), candidate("b", 0.1, 0.9)
    for weights, first in ((Weights(1, 0), "a"), (Weights(0, 2), "b"), (Weights(3, 1), "a"), (Weights(0.1, 0.3), "b")):
        fused = fuse([by_meaning, by_words], limit=2, threshold=None, weights=weights)
        assert fused[0][1].id == first
    assert fuse_scores(0.9, 0.1, 0, Weights(1, 0)) == pytest.approx(0.9)
    assert fuse_scores(0.9, 0.1, 0, Weights(0, 5)) == pytest.approx(0.1)
    assert fuse_scores(0.9, 0.1, 0, Weights(4, 12)) == pytest.approx(fuse_scores(0.9, 0.1, 0, Weights(1, 3)))


def test_words_count_more_where_their_best_stands_out_further_than_the_best_meaning() -> None:
    alike = [candidate(str(n), 0.5, 0.1) for n in range(20)]
    assert weigh([]).embedding == weigh(alike).embedding == weigh(alike[:1]).embedding == DENSE_WEIGHT
    words = [*alike, candidate("words", 0.4, 0.7)]
    assert weigh(words).embedding == pytest.approx(0.8 - 0.6 / 2)
    assert fuse(words, limit=1, threshold=None)[0][1].id == "words"
    both = [*words, candidate("meaning", 0.9, 0.1)]
    assert weigh(both).embedding == DENSE_WEIGHT
    assert fuse(both, limit=1, threshold=None)[0][1].id == "meaning"
    nothing = [candidate(str(n), 0.5, 0.0) for n in range(20)]
    assert weigh([*nothing, candidate("words", 0.5, 1.0)]).embedding == pytest.approx(0.3)
    assert all(weigh(some).embedding + weigh(some).text == pytest.approx(1) for some in (alike, words, both))


def test_what_stands_out_is_told_alike_of_every_embedder() -> None:
    low = [candidate(str(n), 0.1 * n, 0.05 * n) for n in range(9)]
    high = [candidate(str(n), 0.7 + 0.3 * 0.1 * n, 0.05 * n) for n in range(9)]
    assert weigh(low).embedding == pytest.approx(weigh(high, unrelated=0.7).embedding)


@given(
    parts=st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=1, max_size=30),
    unrelated=st.floats(0, 0.9),
)
def test_a_score_lies_between_its_two_parts_whatever_else_was_found(
    parts: list[tuple[float, float]], unrelated: float
) -> None:
    candidates = [candidate(str(number), *part) for number, part in enumerate(parts)]
    ranking = fuse(candidates, limit=len(parts), threshold=None, unrelated=unrelated)
    assert len(ranking) == len(parts)
    for score, one in ranking:
        part, other = sorted((measure_closeness(one.dense, unrelated), one.keyword))
        assert part - 1e-9 <= score <= other + 1e-9
