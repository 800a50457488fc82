import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import gateway.engines.replica as replica_module
from gateway.engines import (
    AdapterNotLoaded,
    Connections,
    Engine,
    EnginePool,
    EngineRefused,
    EngineUnreachable,
    NoReplica,
    Timeouts,
)
from tests.fakes import faults
from tests.fakes.vllm import HEALTH, MODELS, FakeVllm
from tests.waiting import until

TIMES = Timeouts(connect=5, first_byte=5, gap=5, control=0.5, load=5)
UNREACHABLE = EngineUnreachable("nobody listens", "connect")


@pytest.fixture
async def fakes() -> AsyncIterator[list[FakeVllm]]:
    async with FakeVllm() as one, FakeVllm() as two, FakeVllm() as three:
        yield [one, two, three]


@pytest.fixture
async def pool(fakes: list[FakeVllm], connections: Connections) -> AsyncIterator[EnginePool]:
    engines = [Engine(fake.url, connections, TIMES) for fake in fakes]
    async with EnginePool(engines, interval=0.05) as started:
        await until(lambda: all(replica.ready for replica in started.replicas))
        yield started


async def test_the_base_model_and_its_length_are_known(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    assert pool.base_model == "base"
    assert pool.max_model_len == 4096
    assert [state.reason for state in pool.list_states()] == ["", "", ""]


async def test_nothing_is_known_before_the_first_health_check(connections: Connections) -> None:
    pool = EnginePool([Engine("http://127.0.0.1:1", connections, TIMES)])
    assert pool.base_model is None
    assert pool.max_model_len is None
    with pytest.raises(NoReplica) as caught:
        pool.pick(None)
    assert caught.value.headers == {"retry-after": "1"}
    assert "not checked yet" in caught.value.detail


async def test_picks_the_least_busy_and_rotates_among_equals(pool: EnginePool) -> None:
    leases = [pool.pick(None) for _ in range(6)]
    assert [replica.in_flight for replica in pool.replicas] == [2, 2, 2]
    leases[1].release()
    leases[1].release()
    leases.append(pool.pick(None))
    assert leases[-1].replica is leases[1].replica
    for lease in leases:
        lease.release()
    one_at_a_time = set()
    for _ in range(3):
        with pool.pick(None) as lease:
            one_at_a_time.add(lease.replica)
    assert len(one_at_a_time) == 3


async def test_an_adapter_goes_only_where_it_is_resident(pool: EnginePool) -> None:
    with pytest.raises(AdapterNotLoaded) as caught:
        pool.pick("style")
    assert caught.value.status == 503
    pool.replicas[1].admit("style")
    busy = [pool.pick("style") for _ in range(3)]
    assert {lease.replica for lease in busy} == {pool.replicas[1]}
    with pytest.raises(AdapterNotLoaded):
        pool.pick("style", exclude=[pool.replicas[1]])


async def test_exclude_leaves_the_others(pool: EnginePool) -> None:
    assert pool.pick(None, exclude=pool.replicas[:2]).replica is pool.replicas[2]
    with pytest.raises(NoReplica):
        pool.pick(None, exclude=pool.replicas)


async def test_a_dead_replica_leaves_and_comes_back(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    await fakes[0].stop()
    await until(lambda: not pool.replicas[0].ready)
    assert fakes[0].url in pool.list_states()[0].reason
    assert {pool.pick(None).replica for _ in range(4)} == set(pool.replicas[1:])
    life = pool.replicas[0].life
    await fakes[0].start()
    await until(lambda: pool.replicas[0].ready)
    assert pool.replicas[0].life == life + 1


async def test_a_replica_that_says_it_is_ill_gets_nothing(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    fakes[2].healthy = False
    await until(lambda: not pool.replicas[2].ready)
    assert "503" in pool.list_states()[2].reason


async def test_a_health_check_that_breaks_is_a_replica_that_is_down_and_is_tried_again(
    pool: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("nobody thought of this")

    replica = pool.replicas[0]
    with monkeypatch.context() as patched:
        patched.setattr(replica.engine, "check_health", broken)
        await until(lambda: not replica.ready)
        assert "nobody thought of this" in replica.reason
    await until(lambda: replica.ready)


async def test_a_hanging_replica_delays_no_other(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    fakes[0].rule = lambda received: faults.hang()
    before = len(fakes[1].requests(HEALTH))
    await until(lambda: not pool.replicas[0].ready)
    assert len(fakes[1].requests(HEALTH)) - before >= 2
    assert pool.replicas[1].ready


async def test_a_failed_connection_takes_the_replica_out_at_once(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    lease = pool.pick(None)
    fake = fakes[pool.replicas.index(lease.replica)]
    seen = len(fake.requests(MODELS))
    lease.note_failure(UNREACHABLE)
    assert not lease.replica.ready
    assert lease.replica.reason == "nobody listens"
    await until(lambda: lease.replica.ready)
    assert len(fake.requests(MODELS)) > seen


async def test_a_broken_connection_has_the_replica_checked_and_takes_it_from_nobody(
    fakes: list[FakeVllm], connections: Connections
) -> None:
    async with EnginePool([Engine(fakes[0].url, connections, TIMES)], interval=600) as pool:
        await until(lambda: pool.replicas[0].ready)
        seen = len(fakes[0].requests(HEALTH))
        pool.pick(None).note_failure(EngineUnreachable("reset by peer", "answer"))
        assert pool.replicas[0].ready
        await until(lambda: len(fakes[0].requests(HEALTH)) > seen)


async def test_a_replica_at_which_no_answer_begins_is_picked_last_for_a_while(
    pool: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, *others = pool.replicas

    def fail(times: int) -> None:
        for _ in range(times):
            with pool.pick(None, others) as lease:
                lease.note_failure(EngineRefused(500, "no kernel image"))

    def answer() -> None:
        with pool.pick(None, others) as lease:
            lease.note_answer()

    def is_picked() -> bool:
        with pool.pick(None) as one, pool.pick(None) as two, pool.pick(None) as three:
            return failing in (one.replica, two.replica, three.replica)

    fail(2)
    answer()
    fail(2)
    assert is_picked(), "two in a row may be the requests' own fault"
    fail(1)
    assert not is_picked()
    assert pool.pick(None, others).replica is failing, "the last is better than none"
    monkeypatch.setattr(failing, "in_flight", 0)
    monkeypatch.setattr(failing, "failed_at", failing.failed_at - 10)
    assert is_picked(), "it may be mended"
    fail(1)
    assert not is_picked()
    answer()
    assert is_picked()


async def test_a_replica_whose_health_check_takes_long_is_picked_last_before_it_is_down(
    fakes: list[FakeVllm], connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "_SLOW_CHECK_SECONDS", 0.05)
    patient = Timeouts(control=60)
    async with EnginePool([Engine(fake.url, connections, patient) for fake in fakes], interval=600) as pool:
        await until(lambda: all(replica.ready for replica in pool.replicas))
        slow, *others = pool.replicas
        fakes[0].rule = lambda received: faults.hang()
        slow.doubt.set()
        await until(lambda: slow.is_silent)
        assert slow.ready
        assert {pool.pick(None).replica for _ in range(6)} == set(others)
        assert pool.pick(None, others).replica is slow, "the last is better than none"


async def test_a_replica_at_which_a_stream_waits_for_long_counts_as_busier_until_an_answer_begins(
    pool: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "_SLOW_ANSWER_SECONDS", 0.5)
    silent, *others = pool.replicas
    with pool.pick(None, others) as lease:
        with silent.make_wait():
            await asyncio.sleep(0.6)
            assert silent.load == 1, "a plain answer begins when it is whole"
        with silent.make_wait(stream=True):
            await asyncio.sleep(0.6)
            picks = [pool.pick(None) for _ in range(10)]
            assert silent not in {pick.replica for pick in picks}
            picks += [pool.pick(None) for _ in range(3)]
            assert silent in {pick.replica for pick in picks}, "its prompt may be long, and others have much to do"
            for pick in picks:
                pick.release()
            lease.note_answer()
            assert silent.load == 1, "it has much to do, and does it"
            await asyncio.sleep(0.6)
            assert silent.load > 1
        assert silent.load == 1


async def test_a_doubted_replica_is_checked_before_the_interval_is_over(
    fakes: list[FakeVllm], connections: Connections
) -> None:
    async with EnginePool([Engine(fakes[0].url, connections, TIMES)], interval=600) as pool:
        await until(lambda: pool.replicas[0].ready)
        pool.pick(None).note_failure(UNREACHABLE)
        await until(lambda: pool.replicas[0].ready, 60)


async def test_who_waits_for_an_answer_of_a_replica_that_stays_down_waits_no_more(
    pool: EnginePool, fakes: list[FakeVllm]
) -> None:
    replica = pool.replicas[0]

    async def wait() -> None:
        with replica.make_wait():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    fakes[0].script(faults.status(503), path=HEALTH)
    await until(lambda: not replica.ready)
    await until(lambda: replica.ready)
    assert not waiting.done(), "one failed check may be a moment's load"
    fakes[0].rule = lambda received: faults.hang()
    with pytest.raises(EngineUnreachable) as caught:
        await asyncio.wait_for(waiting, 60)
    assert caught.value.phase == "answer"


async def test_a_time_limit_around_the_wait_is_its_own(pool: EnginePool) -> None:
    async def wait(seconds: float) -> None:
        with pool.replicas[0].make_wait():
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(60), 0.01)
    with pytest.raises(TimeoutError):
        await wait(0.01)


async def test_many_models_are_not_listed_at_each_health_check(fakes: list[FakeVllm], connections: Connections) -> None:
    fakes[0].adapters = {f"tenant.style.{number}": Path("/adapters/style") for number in range(1_000)}
    async with EnginePool([Engine(fakes[0].url, connections, TIMES)], interval=0.02) as pool:
        await until(lambda: pool.replicas[0].ready)
        await until(lambda: len(fakes[0].requests(HEALTH)) >= 10)
        assert len(fakes[0].requests(MODELS)) == 1
        pool.replicas[0].doubt.set()
        await until(lambda: len(fakes[0].requests(MODELS)) == 2)
        fakes[0].healthy = False
        await until(lambda: not pool.replicas[0].ready)
        fakes[0].healthy = True
        await until(lambda: pool.replicas[0].ready)
        # A busy machine may miss a health check, and then lists once more.
        assert 3 <= len(fakes[0].requests(MODELS)) <= len(fakes[0].requests(HEALTH)) / 2


async def test_an_adapter_that_the_engine_lost_is_not_resident(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    replica = pool.replicas[0]
    fakes[0].adapters["style"] = Path("/adapters/style")
    await until(lambda: replica.listing is not None and "style" in replica.listing.adapters)
    replica.admit("style")
    life = replica.life
    await fakes[0].restart()
    await until(lambda: "style" not in replica.resident)
    assert replica.life > life


async def test_a_request_that_misses_its_adapter_ends_its_residency(pool: EnginePool) -> None:
    pool.replicas[0].admit("style")
    lease = pool.pick("style")
    lease.note_missing_adapter()
    with pytest.raises(AdapterNotLoaded):
        pool.pick("style")


async def test_requests_without_numbers_are_counted_until_the_engine_is_restarted(
    fakes: list[FakeVllm], connections: Connections
) -> None:
    async with EnginePool([Engine(fakes[0].url, connections, TIMES)], interval=0.02) as pool:
        replica = pool.replicas[0]
        await until(lambda: replica.ready and not replica.count_due)
        assert replica.corrupted_requests is None
        for count in (4, 0):
            fakes[0].corrupted = count
            await fakes[0].stop()
            await until(lambda: not replica.ready)
            await fakes[0].start()
            await until(lambda count=count: replica.corrupted_requests == count)
        assert len(fakes[0].requests("/metrics")) == 3
        assert replica.ready


async def test_who_listens_hears_of_replicas_that_come_and_go(pool: EnginePool, fakes: list[FakeVllm]) -> None:
    heard: list[bool] = []
    pool.on_change(lambda: heard.append(pool.replicas[0].ready))
    await fakes[0].stop()
    await until(lambda: heard == [False])
    await fakes[0].start()
    await until(lambda: heard == [False, True])


async def test_a_replica_with_another_base_model_is_left_out(fakes: list[FakeVllm], connections: Connections) -> None:
    fakes[1].model = "other"
    engines = [Engine(fake.url, connections, TIMES) for fake in fakes[:2]]
    async with EnginePool(engines, interval=0.05) as pool:
        await until(lambda: any(r.ready for r in pool.replicas) and any("serves" in r.reason for r in pool.replicas))
        assert sum(replica.ready for replica in pool.replicas) == 1


async def test_an_engine_that_comes_back_with_another_base_model_at_its_address_takes_no_requests(
    pool: EnginePool, fakes: list[FakeVllm]
) -> None:
    replica, first = pool.replicas[0], fakes[0].model
    await fakes[0].stop()
    await until(lambda: not replica.ready)
    fakes[0].model = "other"
    await fakes[0].start()
    await until(lambda: "serves 'other'" in replica.reason and "restart" in replica.reason)
    assert pool.base_model == first
    fakes[0].model = first
    await until(lambda: replica.ready)


async def test_a_replica_that_starts_late_is_picked_once_it_is_healthy(connections: Connections) -> None:
    async with FakeVllm() as fake:
        fake.healthy = False
        async with EnginePool([Engine(fake.url, connections, TIMES)], interval=0.02) as pool:
            await until(lambda: len(fake.requests(HEALTH)) >= 3)
            with pytest.raises(NoReplica, match="No model server"):
                pool.pick(None)
            fake.healthy = True
            await until(lambda: pool.replicas[0].ready)
            pool.pick(None).release()


async def test_an_empty_pool_says_so() -> None:
    with pytest.raises(NoReplica) as caught:
        EnginePool([]).pick(None)
    assert "no engine is configured" in caught.value.detail
