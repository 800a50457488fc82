"""What is said of adapters that engines don't take, and which refusals are tried again."""

import asyncio
from pathlib import Path

import pytest

from gateway.engines import AdapterNotLoaded, Connections, Engine, EnginePool, Reconciler, Timeouts
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.vllm import LOAD, FakeVllm
from tests.gateway.engines.test_reconcile import Desires, adapter, reconciling
from tests.waiting import until

PASSING = (408, 425, 429, 502, 503, 504)
"""The engine is busy, or something between it and us is."""
FINAL = (400, 404, 409, 422, 500, 501)


async def test_refusals_of_a_moment_are_tried_again_and_others_are_final(
    fake: FakeVllm, connections: Connections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engines.reconcile._FIRST_PAUSE", 0.01)
    adapters = {status: adapter(tmp_path, f"kestrel.status{status}.00000000") for status in (*PASSING, *FINAL)}
    refused: list[str] = []

    def refuse_once(received: Received) -> faults.Fault | None:
        for status, one in adapters.items():
            if received.path == LOAD and one.served_name.encode() in received.body and one.served_name not in refused:
                refused.append(one.served_name)
                return faults.status(status)
        return None

    fake.rule = refuse_once
    async with reconciling([fake], connections, Desires(*adapters.values())) as (pool, reconciler):
        replica = pool.replicas[0]
        await until(lambda: len(refused) == len(adapters))
        await until(lambda: replica.resident == {adapters[status].served_name for status in PASSING})
        assert {one.served_name for one in reconciler.list_failures()} == {adapters[one].served_name for one in FINAL}
        assert all(one.permanent and one.attempts == 1 for one in reconciler.list_failures())


async def test_whoever_waits_is_told_what_every_replica_says(connections: Connections, tmp_path: Path) -> None:
    style = adapter(tmp_path, "kestrel.style.0a1b2c3d")
    async with FakeVllm() as refusing, FakeVllm() as ill:
        ill.healthy = False
        refusing.rule = lambda received: faults.status(503, "busy") if received.path == LOAD else None
        async with reconciling([refusing, ill], connections, Desires(style)) as (pool, reconciler):
            await until(lambda: reconciler.list_failures() and pool.replicas[1].checked)
            with pytest.raises(AdapterNotLoaded) as caught:
                await reconciler.wait_until_resident(style.served_name, 0.05)
            assert f"{refusing.url}: An engine refused the adapter: busy" in caught.value.detail
            assert f"{ill.url}: not ready:" in caught.value.detail
            # One that is ready will do for a promotion, whatever becomes of the other.
            refusing.rule = lambda received: None
            await asyncio.wait_for(reconciler.wait_until_resident(style.served_name, 10, everywhere=False), 10)


async def test_where_there_is_no_engine_that_is_the_reason(connections: Connections, tmp_path: Path) -> None:
    style = adapter(tmp_path, "kestrel.style.0a1b2c3d")
    async with EnginePool([]) as pool, Reconciler(pool, Desires(style), interval=0.02) as reconciler:
        assert reconciler.caught_up
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.wait_until_resident(style.served_name, 0.05)
    assert caught.value.detail == f"adapter {style.served_name}: no engine is configured"


async def test_what_is_still_loading_is_said_to_be_so(fake: FakeVllm, connections: Connections, tmp_path: Path) -> None:
    style = adapter(tmp_path, "kestrel.style.0a1b2c3d")
    fake.rule = lambda received: faults.hang() if received.path == LOAD else None
    engine = Engine(fake.url, connections, Timeouts(connect=5, first_byte=5, gap=5, control=5, load=5))
    async with (
        EnginePool([engine], interval=0.03) as pool,
        Reconciler(pool, Desires(style), interval=0.03) as reconciler,
    ):
        await until(lambda: fake.requests(LOAD))
        assert not reconciler.caught_up, "the first turn isn't over"
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.wait_until_resident(style.served_name, 0.05)
    assert caught.value.detail.endswith("still loading")
