"""The probability of an answer: 0..1, and never less for a better match."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from retrieval.answer_probability import STARTING_WEIGHTS, estimate_answer, estimate_generally, join_features
from retrieval.messages import FULL_MATCH, MatchFeatures

_SHARES = st.floats(0, 1)
_NUMBER = len(MatchFeatures.__struct_fields__)
_MATCHES = st.builds(MatchFeatures, *[_SHARES] * _NUMBER)


def test_the_weights_to_start_from_are_of_the_features_and_none_takes_from_the_probability() -> None:
    assert len(STARTING_WEIGHTS) == _NUMBER + 1
    assert min(STARTING_WEIGHTS[:-1]) >= 0
    assert astuple(FULL_MATCH) == (1.0,) * _NUMBER


def test_a_passage_that_matches_in_no_way_hardly_answers_and_one_that_does_in_all_ways_mostly() -> None:
    for estimate in (lambda one: estimate_answer(one, STARTING_WEIGHTS), lambda one: estimate_generally([one])):
        assert estimate(MatchFeatures()) < 0.2
        assert estimate(FULL_MATCH) > 0.95
    assert estimate_generally([]) == 0


@given(_MATCHES, _MATCHES, st.lists(st.floats(0, 20), min_size=_NUMBER, max_size=_NUMBER))
def test_a_better_match_is_never_less_likely_to_answer(
    one: MatchFeatures, other: MatchFeatures, slopes: list[float]
) -> None:
    better = join_features([one, other])
    for weights in (STARTING_WEIGHTS, (*slopes, -10.0)):
        assert 0 <= estimate_answer(one, weights) <= estimate_answer(better, weights) <= 1


@given(st.lists(_MATCHES, min_size=1, max_size=5), _MATCHES)
def test_the_likeliest_passage_answers_whatever_else_was_found(
    matches: list[MatchFeatures], one: MatchFeatures
) -> None:
    more = estimate_generally([*matches, one])
    assert more == max(estimate_generally(matches), estimate_generally([one]))
    assert estimate_generally([join_features([*matches, one])]) >= more


@given(st.lists(_MATCHES, max_size=5))
def test_joined_features_are_the_best_of_each(matches: list[MatchFeatures]) -> None:
    joined = astuple(join_features(matches))
    columns = list(zip(*map(astuple, matches), strict=True)) or [(0.0,)] * _NUMBER
    assert joined == tuple(map(max, columns))


@given(_MATCHES, _SHARES, _SHARES)
def test_a_name_that_is_missing_never_makes_an_answer_likelier(match: MatchFeatures, one: float, other: float) -> None:
    fewer, more = (estimate_generally([replace(match, names=names)]) for names in sorted((one, other)))
    assert fewer <= more
    assert estimate_generally([replace(match, names=0.0)]) < estimate_generally([replace(match, names=1.0)])
