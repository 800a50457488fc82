import pytest

from gateway.demo import make_tenants
from gateway.demo.forecast import Forecast, measure_gigaflops
from gateway.demo.size import FULL, SMALL, DemoSize

ANY = make_tenants()


def forecast(size: DemoSize = FULL, gigaflops: float = 100.0) -> Forecast:
    return Forecast(size, ANY[: size.tenants], gigaflops)


def test_a_machine_of_half_the_speed_takes_twice_as_long() -> None:
    assert forecast(gigaflops=50).estimate_rest({}) == pytest.approx(2 * forecast(gigaflops=100).estimate_rest({}))


def test_the_small_demo_takes_less() -> None:
    assert forecast(SMALL).estimate_rest({}) < forecast(FULL).estimate_rest({}) / 2


def test_finished_steps_correct_the_measured_speed() -> None:
    before = forecast()
    start = before.estimate_rest({}) - before.estimate_rest({"start": 40.0})
    assert start == pytest.approx(40.0)
    assert before.estimate_rest({"start": 80.0}) == pytest.approx(2 * before.estimate_rest({"start": 40.0}))


def test_in_the_end_nothing_is_left() -> None:
    steps = ("start", "documents", "adapter_kestrel", "questions", "edit", "swap")
    assert forecast(SMALL).estimate_rest(dict.fromkeys(steps, 10.0)) == 0


def test_the_times_to_expect_are_said_in_minutes() -> None:
    fast, slow = forecast(gigaflops=1e6).describe(), forecast(gigaflops=10).describe()
    minutes = forecast().estimate_rest({}) / 60
    assert f"about {minutes / 2:.0f} minutes" in fast  # half of the work isn't a matter of matrices
    assert f"about {minutes * 10:.0f} minutes" in slow


def test_a_machine_can_be_measured() -> None:
    assert 0.1 < measure_gigaflops() < 1e6
