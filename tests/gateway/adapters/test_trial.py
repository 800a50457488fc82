"""Adapters tried on several engines, some of which are away, busy or wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway.adapters.refusal import AdapterRefused
from gateway.adapters.trial import Trial

from gateway.engines import Connections, DesiredAdapter, Probe, VllmEngine
from gateway.jobs import JobDelayed
from tests.fakes import _tokens, faults
from tests.fakes._http import Received
from tests.fakes.faults import Fault
from tests.fakes.vllm import COMPLETIONS, LOAD, FakeVllm

TOKENS = list(range(12))


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections() as opened:
        yield opened


@pytest.fixture
async def engines() -> AsyncIterator[tuple[FakeVllm, FakeVllm]]:
    async with FakeVllm() as one, FakeVllm() as two:
        yield one, two


@pytest.fixture
def adapter(tmp_path: Path) -> DesiredAdapter:
    folder = tmp_path / "weights"
    folder.mkdir()
    scores, base = (_tokens.logprobs(weights, TOKENS)[2:] for weights in ("weights", "base"))
    return DesiredAdapter("kestrel.voice.01234567", str(folder), [Probe(TOKENS, 2, scores, base)])


def trial(engines: tuple[FakeVllm, ...], connections: Connections) -> Trial:
    return Trial([VllmEngine(engine.url, connections) for engine in engines])


async def test_every_replica_loads_it(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    await trial(engines, connections).prove(adapter)
    assert [list(engine.adapters) for engine in engines] == [[adapter.served_name]] * 2
    await trial(engines, connections).prove(adapter)


async def test_one_replica_may_be_away(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    await engines[0].stop()
    await trial(engines, connections).prove(adapter)
    await engines[1].stop()
    with pytest.raises(JobDelayed):
        await trial(engines, connections).prove(adapter)
    with pytest.raises(JobDelayed, match="none is configured"):
        await Trial([]).prove(adapter)


@pytest.mark.parametrize("path", [LOAD, COMPLETIONS])
async def test_a_busy_engine_is_tried_later(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter, path: str
) -> None:
    for engine in engines:
        engine.script(faults.status(503, "overloaded"), path=path)
    with pytest.raises(JobDelayed):
        await trial(engines, connections).prove(adapter)
    await trial(engines, connections).prove(adapter)


async def test_one_replica_that_refuses_is_enough(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    engines[1].script(faults.status(500, "rank 64 is over max_lora_rank"), path=LOAD)
    with pytest.raises(AdapterRefused, match="rank 64 is over"):
        await trial(engines, connections).prove(adapter)


async def test_one_replica_that_gives_other_numbers_is_enough(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    engines[1].wrong_probes[adapter.served_name] = 5.0
    with pytest.raises(AdapterRefused) as refused:
        await trial(engines, connections).prove(adapter)
    assert refused.value.code == "probe_failed"


async def test_a_folder_that_engines_dont_see_is_the_operators_affair(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    Path(adapter.path).rmdir()
    with pytest.raises(AdapterRefused, match="BRAID_ENGINE_ADAPTER_DIR"):
        await trial(engines, connections).prove(adapter)


async def test_a_reconciler_that_unloads_in_between_does_no_harm(
    connections: Connections, adapter: DesiredAdapter
) -> None:
    async with FakeVllm() as engine:
        unloaded: list[str] = []

        def unload_once(received: Received) -> Fault | None:
            if received.path == COMPLETIONS and not unloaded:
                unloaded.extend(engine.adapters)
                engine.adapters.clear()
            return None

        engine.rule = unload_once
        await trial((engine,), connections).prove(adapter)
        assert unloaded == [adapter.served_name]
        assert len(engine.requests(LOAD)) == 2


async def test_without_a_reference_nothing_is_proven(
    engines: tuple[FakeVllm, FakeVllm], connections: Connections, adapter: DesiredAdapter
) -> None:
    bare = DesiredAdapter(adapter.served_name, adapter.path, [])
    with pytest.raises(AdapterRefused, match="no reference rows"):
        await trial(engines, connections).prove(bare)
    assert engines[0].requests(LOAD) == []
