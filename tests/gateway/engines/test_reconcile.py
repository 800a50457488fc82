import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.engines import (
    AdapterNotLoaded,
    AdapterRejected,
    Connections,
    DesiredAdapter,
    EnginePool,
    Probe,
    Reconciler,
    Timeouts,
    VllmEngine,
)
from tests.fakes import _tokens, faults
from tests.fakes.vllm import COMPLETIONS, LOAD, UNLOAD, FakeVllm
from tests.waiting import until

TIMES = Timeouts(connect=1, first_byte=5, gap=5, control=2, load=0.5)
TOKENS = [11, 12, 13, 14, 15, 16, 17, 18]


def adapter(folder: Path, name: str) -> DesiredAdapter:
    path = folder / f"sha256-of-{name}"
    path.mkdir(exist_ok=True)
    scores, base = _tokens.logprobs(path.name, TOKENS), _tokens.logprobs("base", TOKENS)
    return DesiredAdapter(name, str(path), [Probe(TOKENS, 2, scores[2:], base[2:])])


class Wishes:
    """What the database would say is wanted."""

    def __init__(self, *adapters: DesiredAdapter) -> None:
        self.adapters: list[DesiredAdapter] = list(adapters)
        self.broken = False

    async def __call__(self) -> Sequence[DesiredAdapter]:
        if self.broken:
            raise ConnectionError("the database is down")
        return self.adapters


@asynccontextmanager
async def reconciling(
    fakes: Sequence[FakeVllm], connections: Connections, wishes: Wishes
) -> AsyncIterator[tuple[EnginePool, Reconciler]]:
    engines = [VllmEngine(fake.url, connections, TIMES) for fake in fakes]
    async with (
        EnginePool(engines, interval=0.03) as pool,
        Reconciler(pool, wishes, interval=0.03) as reconciler,
    ):
        await pool.until_ready(5)
        yield pool, reconciler


@pytest.fixture
def style(tmp_path: Path) -> DesiredAdapter:
    return adapter(tmp_path, "kestrel.style.0a1b2c3d")


async def test_loads_proves_and_then_serves(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        assert fake.adapters == {style.served_name: Path(style.path)}
        assert len(fake.requests(COMPLETIONS)) == 1
        pool.pick(style.served_name).release()
        assert reconciler.failures() == []
        await asyncio.sleep(0.2)
        assert len(fake.requests(LOAD)) == 1, "what is there isn't loaded again"


async def test_not_served_before_the_proof(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    fake.script(faults.hang(), path=COMPLETIONS)
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        await until(lambda: fake.requests(COMPLETIONS))
        assert style.served_name in fake.adapters
        with pytest.raises(AdapterNotLoaded):
            pool.pick(style.served_name)
        await reconciler.resident(style.served_name, 10)


async def test_every_replica_gets_it(connections: Connections, style: DesiredAdapter) -> None:
    async with (
        FakeVllm() as one,
        FakeVllm() as two,
        reconciling([one, two], connections, Wishes(style)) as (pool, reconciler),
    ):
        await until(lambda: all(replica.ready for replica in pool.replicas))
        await reconciler.resident(style.served_name, 5)
        assert style.served_name in one.adapters
        assert style.served_name in two.adapters


async def test_a_slow_load_holds_up_no_other_replica(connections: Connections, style: DesiredAdapter) -> None:
    async with FakeVllm() as slow, FakeVllm() as quick:
        slow.script(faults.hang(), path=LOAD)
        async with reconciling([slow, quick], connections, Wishes(style)) as (pool, _):
            await until(lambda: style.served_name in pool.replicas[1].resident)
            assert pool.replicas[0].resident == set()


async def test_unloads_what_is_not_wanted(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    other = adapter(tmp_path, "harbor.style.99999999")
    wishes = Wishes(style, other)
    async with reconciling([fake], connections, wishes) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        await reconciler.resident(other.served_name, 5)
        wishes.adapters = [other]
        reconciler.wake()
        await until(lambda: style.served_name not in fake.adapters)
        assert pool.replicas[0].resident == {other.served_name}


async def test_does_not_unload_under_a_running_request(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    wishes = Wishes(style)
    async with reconciling([fake], connections, wishes) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        lease = pool.pick(style.served_name)
        wishes.adapters = []
        await until(lambda: style.served_name not in pool.replicas[0].resident)
        await asyncio.sleep(0.15)
        assert fake.requests(UNLOAD) == []
        lease.release()
        await until(lambda: fake.adapters == {})


async def test_an_unknown_wish_changes_nothing(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    wishes = Wishes(style)
    async with reconciling([fake], connections, wishes) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        wishes.broken = True
        await asyncio.sleep(0.15)
        assert fake.requests(UNLOAD) == []
        await fake.restart()
        await until(lambda: fake.requests(LOAD)[1:] and style.served_name in pool.replicas[0].resident)


async def test_a_restarted_engine_gets_its_adapters_back(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        await fake.stop()
        await until(lambda: not pool.replicas[0].ready)
        await fake.start()
        await until(lambda: pool.replicas[0].ready)
        await reconciler.resident(style.served_name, 5)
        assert style.served_name in fake.adapters
        assert len(fake.requests(COMPLETIONS)) == 2, "proven again"


async def test_a_restart_between_two_probes_is_noticed(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        await reconciler.resident(style.served_name, 5)
        await fake.restart()
        lease = pool.pick(style.served_name)
        lease.missing()
        lease.release()
        await until(lambda: style.served_name in pool.replicas[0].resident)
        assert style.served_name in fake.adapters


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_refused_load_is_not_tried_again_until_a_restart(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, status: int
) -> None:
    fake.script(faults.status(status, "LoRA rank 64 is greater than max_lora_rank 16."), path=LOAD)
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        with pytest.raises(AdapterRejected) as caught:
            await reconciler.resident(style.served_name, 5)
        assert "rank 64" in caught.value.reason
        await asyncio.sleep(0.15)
        assert len(fake.requests(LOAD)) == 1
        (failure,) = reconciler.failures()
        assert failure.permanent
        assert failure.url == fake.url
        await fake.stop()
        await until(lambda: not pool.replicas[0].ready)
        await fake.start()
        await until(lambda: style.served_name in pool.replicas[0].resident)
        assert reconciler.failures() == []


async def test_one_bad_adapter_does_not_stop_the_others(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    bad = adapter(tmp_path, "harbor.bad.00000000")
    fake.script(faults.status(500), path=LOAD)
    async with reconciling([fake], connections, Wishes(bad, style)) as (_, reconciler):
        await reconciler.resident(style.served_name, 5)
        with pytest.raises(AdapterRejected):
            await reconciler.resident(bad.served_name, 5)


@pytest.mark.parametrize("fault", [faults.refuse(), faults.status(503)])
async def test_a_passing_fault_is_tried_again_with_back_off(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, fault: faults.Fault
) -> None:
    fake.script(fault, path=LOAD)
    async with reconciling([fake], connections, Wishes(style)) as (_, reconciler):
        await until(lambda: reconciler.failures())
        (failure,) = reconciler.failures()
        assert not failure.permanent
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.resident(style.served_name, 0.1)
        assert failure.reason in caught.value.detail
        await reconciler.resident(style.served_name, 10)
        first, second = fake.requests(LOAD)
        assert second.started - first.started >= 0.9


async def test_an_adapter_that_does_nothing_is_refused_and_unloaded(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.inert.add(style.served_name)
    async with reconciling([fake], connections, Wishes(style)) as (pool, reconciler):
        with pytest.raises(AdapterRejected, match="like the base model"):
            await reconciler.resident(style.served_name, 5)
        assert fake.adapters == {}
        assert pool.replicas[0].resident == set()


async def test_wrong_weights_are_refused(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    fake.wrong_probes[style.served_name] = 2.0
    async with reconciling([fake], connections, Wishes(style)) as (_, reconciler):
        with pytest.raises(AdapterRejected, match="doesn't reproduce"):
            await reconciler.resident(style.served_name, 5)


async def test_rounding_of_another_dtype_passes(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.wrong_probes[style.served_name] = 0.05
    async with reconciling([fake], connections, Wishes(style)) as (_, reconciler):
        await reconciler.resident(style.served_name, 5)


async def test_without_reference_rows_it_is_refused(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    bare = DesiredAdapter(style.served_name, style.path, [])
    async with reconciling([fake], connections, Wishes(bare)) as (_, reconciler):
        with pytest.raises(AdapterRejected, match="no reference rows"):
            await reconciler.resident(style.served_name, 5)


async def test_an_adapter_loaded_by_another_gateway_is_only_proven(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.adapters[style.served_name] = Path(style.path)
    async with reconciling([fake], connections, Wishes(style)) as (_, reconciler):
        await reconciler.resident(style.served_name, 5)
        assert fake.requests(LOAD) == []
        assert len(fake.requests(COMPLETIONS)) == 1


async def test_a_name_held_from_another_folder_is_never_loaded_over(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    fake.adapters[style.served_name] = tmp_path
    async with reconciling([fake], connections, Wishes(style)) as (_, reconciler):
        with pytest.raises(AdapterRejected, match="another folder"):
            await reconciler.resident(style.served_name, 5)
        assert fake.requests(LOAD) == []


async def test_waiting_for_what_nobody_wants(fake: FakeVllm, connections: Connections) -> None:
    async with reconciling([fake], connections, Wishes()) as (_, reconciler):
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.resident("nobody.style.0", 0.2)
        assert "nothing wants it" in caught.value.detail


async def test_a_wake_is_quicker_than_the_interval(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    wishes = Wishes()
    engines = [VllmEngine(fake.url, connections, TIMES)]
    async with EnginePool(engines, interval=0.03) as pool, Reconciler(pool, wishes, interval=60) as reconciler:
        await pool.until_ready(5)
        wishes.adapters = [style]
        started = time.monotonic()
        await reconciler.resident(style.served_name, 10)
        assert time.monotonic() - started < 5
