"""The forecast as a function: it grows with everything, plans fit, and nothing is planned where nothing fits."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from training.memory_plan import GIB, Demand, Load, MemoryForecast, forecast_memory
from training.model_size import ModelSize
from training.spec import Recipe

QWEN_7B = ModelSize(
    parameters=7_615_616_512,
    layers=28,
    hidden=3584,
    vocabulary=152_064,
    inputs=6 * 3584 + 18_944,
    outputs=2 * 3584 + 2 * 512 + 2 * 18_944 + 3584,
    widest=18_944,
    adapter_linears=7,
    adapter_width=28 * (2 * 7168 + 2 * 4096 + 3 * 22_528),
)

numbers = st.integers(1, 200_000)
sizes = st.builds(ModelSize, **{field.name: numbers for field in fields(ModelSize)})
loads = st.builds(Load, st.integers(1, 100_000), st.integers(1, 100_000))
options = st.fixed_dictionaries(
    {
        "rank": st.integers(1, 512),
        "item_bytes": st.sampled_from([2, 4]),
        "dropout": st.booleans(),
        "gradient_checkpointing": st.booleans(),
    }
)


def grow(value: Any, draw: st.DataObject) -> Any:
    if isinstance(value, bool):
        return True
    return value + draw.draw(st.integers(0, 1000))


@given(sizes, loads, options, st.data())
def test_more_of_anything_never_takes_less(
    size: ModelSize, load: Load, settings: dict[str, Any], data: st.DataObject
) -> None:
    before = forecast_memory(size, load, **settings).total
    for field in fields(ModelSize):
        more = replace(size, **{field.name: grow(getattr(size, field.name), data)})
        assert forecast_memory(more, load, **settings).total >= before, field.name
    for field in fields(Load):
        more = replace(load, **{field.name: grow(getattr(load, field.name), data)})
        assert forecast_memory(size, more, **settings).total >= before, field.name
    for name in ("rank", "dropout"):
        more_settings: dict[str, Any] = settings | {name: grow(settings[name], data)}
        assert forecast_memory(size, load, **more_settings).total >= before, name
    for name, value in (("item_bytes", 4), ("gradient_checkpointing", False)):
        more_settings = settings | {name: value}
        assert forecast_memory(size, load, **more_settings).total >= before, name


def demand(size: ModelSize = QWEN_7B, *, longest: int = 1500, tokens: int = 2048, rank: int = 16) -> Demand:
    """Rows of up to `longest` tokens, a third of them replies."""

    def measure(limit: int) -> Load:
        return Load(max(longest, limit), max(longest, limit) // 3)

    return Demand(size, Recipe(rank=rank, micro_batch_tokens=tokens), measure)


@given(sizes, st.integers(1, 4000), st.integers(1, 8000), st.integers(0, 200 * GIB), st.sampled_from([2, 4]))
def test_a_plan_fits_or_there_is_none(size: ModelSize, longest: int, tokens: int, free: int, item_bytes: int) -> None:
    wanted = demand(size, longest=longest, tokens=tokens)
    plan = wanted.choose_plan(item_bytes, free)
    least = wanted.choose_smallest_plan(item_bytes).forecast.total
    if plan is None:
        assert least > free
        assert wanted.choose_plan(item_bytes, least) is not None
    else:
        assert plan.forecast.total <= free
        assert plan.micro_batch_tokens <= tokens
    assert wanted.choose_plan(item_bytes, 0) is None


@given(st.integers(0, 80 * GIB))
def test_the_length_that_would_fit_is_the_longest_that_does(free: int) -> None:
    wanted = demand(longest=4000)
    length = wanted.find_length(2, free)
    if length:
        assert demand(longest=length, tokens=1).choose_plan(2, free) is not None
    if length < 4000:
        size, load = wanted.size, Load(length + 1, min(length + 1, 1333))
        more = forecast_memory(size, load, rank=16, item_bytes=2, dropout=False, gradient_checkpointing=True)
        assert more.total > free


def test_a_7b_has_the_size_that_was_estimated_by_hand() -> None:
    """By hand: weights 15 GiB, activations of 2,048 tokens 19, logits of 500 tokens 1 to 2."""
    forecast = forecast_memory(
        QWEN_7B, Load(2048, 500), rank=16, item_bytes=2, dropout=False, gradient_checkpointing=False
    )
    assert 14 < forecast.weights / GIB < 15
    assert 17 < forecast.activations / GIB < 20
    assert 1 < forecast.logits / GIB < 2
    assert 35 < forecast.total / GIB < 39
    assert str(forecast).startswith("weights 14.2, adapter and optimizer 0.8, activations ")


def test_plans_get_smaller_parts_first_and_checkpoints_last() -> None:
    plans = list(demand(longest=500).list_plans(2))
    assert [plan.micro_batch_tokens for plan in plans] == [2048, 1024, 512, 256] * 2
    assert [plan.gradient_checkpointing for plan in plans] == [False] * 4 + [True] * 4
    totals = [plan.forecast.total for plan in plans]
    assert totals[:4] == sorted(totals[:4], reverse=True)
    assert totals[4] < totals[3]


def test_half_a_gpu_trains_a_7b_and_what_an_engine_leaves_by_its_own_default_does_not() -> None:
    card = 79 * GIB
    plan = demand().choose_plan(2, int(card * 0.52))
    assert plan is not None
    assert not plan.gradient_checkpointing
    assert demand().choose_plan(2, int(card * 0.06)) is None


def test_a_forecast_is_the_sum_of_its_parts() -> None:
    assert MemoryForecast(1, 2, 3, 4, 5).total == 15
