"""The proof of an adapter, on figures of engines with more and less noise, and on a fake engine."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.engines import DesiredAdapter, Engine, EngineUnreachable, ModelListing
from gateway.engines.probe import ProbeResult, measure
from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from training.manifest import Probe

COMPLETIONS = "/v1/completions"
TOKENS = list(range(100, 116))


@pytest.mark.parametrize(
    ("to_adapter", "to_base", "effect", "noise", "passed"),
    [
        (0.00001, 1.2, 1.2, 0.00001, True),  # float32
        (0.05, 1.2, 1.2, 0.05, True),  # bfloat16
        (0.05, 0.08, 0.06, 0.05, True),  # a gentle adapter, as near to its reference as the noise lets it be
        (0.08, 0.05, 0.06, 0.05, False),  # the base model under its name
        (0.05, 0.08, 0.06, 0.00001, False),  # an engine without noise isn't that far off
        (0.32, 0.9, 0.8, 0.3, True),  # four bits
        (0.85, 0.3, 0.8, 0.3, False),
        (0.6, 1.2, 1.2, 0.05, False),  # half of it applied
        (0.05, 0.05, 0.01, 0.05, False),  # what it changes is lost in the noise
        (1.9, 2.2, 1.2, 2.0, False),  # another base model
        (math.nan, math.nan, 1.2, 0.05, False),
    ],
)
def test_an_adapter_passes_by_what_the_noise_of_its_engine_does_not_explain(
    to_adapter: float, to_base: float, effect: float, noise: float, passed: bool
) -> None:
    assert ProbeResult(to_adapter, to_base, effect, noise).passed == passed


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (ProbeResult(0.05, 1.2, 1.2, 0.05), "probe passed"),
        (ProbeResult(1.2, 0.05, 1.2, 0.05), "answers like the base model"),
        (ProbeResult(0.6, 0.9, 1.2, 0.05), "doesn't reproduce"),
        (ProbeResult(math.nan, math.nan, 1.2, 0.05), r"no numbers \(NaN\)"),
        (ProbeResult(1.9, 2.2, 1.2, 2.0), "another base model"),
        (ProbeResult(0.05, 0.05, 0.01, 0.05), "too little to be told"),
    ],
)
def test_a_verdict_says_what_is_wrong(result: ProbeResult, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(result.verdict)


def simulate(effect: float, noise: float, seed: int, *, applied: float) -> ProbeResult:
    """150 tokens with an engine's normally distributed errors; `applied` is the share of the adapter that it adds."""
    draw = random.Random(seed)

    def spread(size: float) -> list[float]:
        return [draw.gauss(0, size * math.sqrt(math.pi / 2)) for _ in range(150)]

    def distance(one: Sequence[float], other: Sequence[float] | None = None) -> float:
        return sum(abs(a - b) for a, b in zip(one, other or [0.0] * 150, strict=True)) / 150

    change, own, plain = spread(effect), spread(noise), spread(noise)
    engine = [applied * step + error for step, error in zip(change, own, strict=True)]
    return ProbeResult(distance(engine, change), distance(engine), distance(change), distance(plain))


@pytest.mark.parametrize(("effect", "noise"), [(0.06, 0.03), (0.16, 0.05), (0.5, 0.2), (1.5, 0.3), (0.1, 0.00001)])
def test_chance_neither_refuses_an_adapter_nor_lets_the_base_pass(effect: float, noise: float) -> None:
    assert all(simulate(effect, noise, seed, applied=1).passed for seed in range(200))
    assert not any(simulate(effect, noise, seed, applied=0).passed for seed in range(200))


NAME = "kestrel.voice.1"


@pytest.fixture
def desired(fake: FakeVllm, tmp_path: Path) -> DesiredAdapter:
    """An adapter on the fake engine, with a short row and a long one."""
    fake.adapters[NAME] = tmp_path
    rows = [
        Probe(tokens, 4, fake.logprobs(NAME, tokens)[4:], fake.logprobs(None, tokens)[4:])
        for tokens in (TOKENS, TOKENS * 5)
    ]
    return DesiredAdapter(NAME, str(tmp_path), rows)


async def test_the_noise_is_measured_on_the_same_rows(fake: FakeVllm, engine: Engine, desired: DesiredAdapter) -> None:
    result = await measure(engine, desired, await engine.list_models())
    assert result.passed
    assert (result.to_adapter, result.noise) == (0, 0)
    bodies = [json.loads(request.body) for request in fake.requests(COMPLETIONS)]
    asked = [(body["model"], len(body["prompt"])) for body in bodies]
    assert asked == [(NAME, 16), ("base", 16), (NAME, 80), ("base", 80)]


async def test_rows_beyond_the_engines_context_are_left_out(
    fake: FakeVllm, engine: Engine, desired: DesiredAdapter
) -> None:
    assert (await measure(engine, desired, ModelListing("base", 80, {}))).passed
    assert {len(json.loads(request.body)["prompt"]) for request in fake.requests(COMPLETIONS)} == {16}


NAN = faults.status(400, "Out of range float values are not JSON compliant: nan")


async def test_nan_on_a_long_prompt_alone_is_refused_with_its_reason(
    fake: FakeVllm, engine: Engine, desired: DesiredAdapter
) -> None:
    fake.script(None, None, NAN, path=COMPLETIONS)
    result = await measure(engine, desired, await engine.list_models())
    assert not result.passed
    assert "(NaN) with this adapter, on a short or a long prompt" in result.verdict


async def test_nan_of_the_base_model_is_the_engines_fault_and_not_the_adapters(
    fake: FakeVllm, engine: Engine, desired: DesiredAdapter
) -> None:
    fake.script(None, NAN, path=COMPLETIONS)
    with pytest.raises(EngineUnreachable) as caught:
        await measure(engine, desired, await engine.list_models())
    assert "restart it" in caught.value.detail
