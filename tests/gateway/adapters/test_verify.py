"""Adapters verified by a worker's reconciler on several engines, some of which are away, busy or wrong."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.adapters.identity import AdapterRefused
from gateway.adapters.tables import AdapterRow
from gateway.adapters.verify import AdapterVerifier
from gateway.engines import Connections, DesiredAdapter, Engine, EnginePool, Reconciler, Timeouts
from gateway.jobs import JobDelayed
from tests.fakes import _tokens, faults
from tests.fakes.vllm import COMPLETIONS, LOAD, FakeVllm
from training.manifest import Probe

TOKENS = list(range(12))
TIMES = Timeouts(connect=5, first_byte=5, gap=5, control=2, load=5)
ROW = AdapterRow(id="adapter_1", served_name="kestrel.voice.01234567")


@pytest.fixture
async def engines() -> AsyncIterator[tuple[FakeVllm, FakeVllm]]:
    async with FakeVllm() as one, FakeVllm() as two:
        yield one, two


@pytest.fixture
def adapter(tmp_path: Path) -> DesiredAdapter:
    folder = tmp_path / "weights"
    folder.mkdir()
    scores, base = (_tokens.logprobs(weights, TOKENS)[2:] for weights in ("weights", "base"))
    return DesiredAdapter(ROW.served_name, str(folder), [Probe(TOKENS, 2, scores, base)])


@asynccontextmanager
async def verifying(
    engines: Sequence[FakeVllm], adapter: DesiredAdapter, *, patience_seconds: float = 30
) -> AsyncIterator[AdapterVerifier]:
    async def desired() -> list[DesiredAdapter]:
        return [adapter]

    async with Connections() as connections:
        pool = EnginePool([Engine(engine.url, connections, TIMES) for engine in engines], interval=0.03)
        async with pool, Reconciler(pool, desired, interval=0.03) as reconciler:
            yield AdapterVerifier(reconciler, patience_seconds=patience_seconds)


async def test_every_replica_has_it_in_the_end(engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter) -> None:
    async with verifying(engines, adapter) as verify:
        await verify(ROW)
        assert [list(engine.adapters) for engine in engines] == [[adapter.served_name]] * 2
        await verify(ROW)
    assert [len(engine.requests(COMPLETIONS)) for engine in engines] == [2, 2]


async def test_one_replica_may_be_away(engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter) -> None:
    await engines[0].stop()
    async with verifying(engines, adapter) as verify:
        await verify(ROW)


async def test_no_replica_in_reach_delays_the_job(engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter) -> None:
    for engine in engines:
        await engine.stop()
    async with verifying(engines, adapter, patience_seconds=0.3) as verify:
        with pytest.raises(JobDelayed, match="not ready"):
            await verify(ROW)


async def test_without_an_engine_the_job_is_delayed(adapter: DesiredAdapter) -> None:
    async with verifying([], adapter, patience_seconds=0.05) as verify:
        with pytest.raises(JobDelayed, match="no engine is configured"):
            await verify(ROW)


@pytest.mark.parametrize("path", [LOAD, COMPLETIONS])
async def test_a_busy_engine_is_waited_for(
    engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter, path: str
) -> None:
    for engine in engines:
        engine.script(faults.status(503, "overloaded"), path=path)
    async with verifying(engines, adapter) as verify:
        await verify(ROW)


async def test_an_engine_that_restarts_meanwhile_is_waited_for(
    engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter
) -> None:
    engine = engines[0]
    engine.script(faults.hang(), path=COMPLETIONS)
    async with verifying([engine], adapter) as verify:
        task = asyncio.create_task(verify(ROW))
        while not engine.requests(COMPLETIONS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await engine.stop()
        assert not task.done()
        await engine.start()
        await task
    assert list(engine.adapters) == [adapter.served_name]
    assert len(engine.requests(LOAD)) == 2


async def test_one_replica_that_refuses_is_enough(engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter) -> None:
    engines[1].script(faults.status(500, "rank 64 is over max_lora_rank"), path=LOAD)
    async with verifying(engines, adapter) as verify:
        with pytest.raises(AdapterRefused, match="refused the adapter: rank 64 is over"):
            await verify(ROW)


async def test_one_replica_that_gives_other_numbers_is_enough(
    engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter
) -> None:
    engines[1].wrong_probes[adapter.served_name] = 5.0
    async with verifying(engines, adapter) as verify:
        with pytest.raises(AdapterRefused, match="log-probabilities are"):
            await verify(ROW)


async def test_a_folder_that_engines_do_not_see_is_the_operators_affair(
    engines: tuple[FakeVllm, FakeVllm], adapter: DesiredAdapter
) -> None:
    Path(adapter.path).rmdir()
    async with verifying(engines, adapter) as verify:
        with pytest.raises(AdapterRefused, match="BRAID_ENGINE_ADAPTER_DIR"):
            await verify(ROW)
