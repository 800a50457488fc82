import pytest

from gateway.evaluation import estimate_mean, estimate_share


def test_the_interval_of_wilson_has_the_published_values() -> None:
    # Newcombe 1998, method 3: 81/263, 15/148, 0/20, 1/29.
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        estimate = estimate_share([True] * hits + [False] * (n - hits))
        assert estimate.value == pytest.approx(hits / n)
        assert estimate.low == pytest.approx(low, abs=1e-4)
        assert estimate.high == pytest.approx(high, abs=1e-4)
        assert (estimate.n, estimate.interval) == (n, "wilson")


def test_all_right_is_not_certain() -> None:
    estimate = estimate_share([1] * 16)
    assert estimate.value == estimate.high == 1
    assert 0.80 < estimate.low < 0.82


def test_bootstrap_covers_the_mean_and_narrows_with_n() -> None:
    few = estimate_mean([0.0, 0.5, 1.0, 1.0])
    many = estimate_mean([0.0, 0.5, 1.0, 1.0] * 25)
    for estimate in (few, many):
        assert estimate.low < estimate.value == 0.625 < estimate.high
        assert estimate.interval == "bootstrap"
    assert many.high - many.low < (few.high - few.low) / 2
    assert estimate_mean([0.0, 0.5, 1.0, 1.0]) == few


def test_equal_scores_have_no_width() -> None:
    estimate = estimate_mean([1.0] * 16)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (1, 1, 1, 16)


@pytest.mark.parametrize("make", [estimate_mean, estimate_share])
def test_nothing_is_refused_as_a_sample(make) -> None:
    with pytest.raises(ValueError, match="Ask at least one question"):
        make([])
