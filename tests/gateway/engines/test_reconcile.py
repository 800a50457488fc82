import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.engines import (
    AdapterNotLoaded,
    AdapterUnservable,
    Connections,
    DesiredAdapter,
    Engine,
    EnginePool,
    ProbeResult,
    Reconciler,
    Timeouts,
)
from gateway.engines.client import ModelListing
from gateway.engines.probe import measure
from tests.fakes import _tokens, faults
from tests.fakes.vllm import COMPLETIONS, HEALTH, LOAD, UNLOAD, FakeVllm
from tests.waiting import until
from training.manifest import Probe

TIMES = Timeouts(connect=5, first_byte=5, gap=5, control=2, load=0.5)
TOKENS = [11, 12, 13, 14, 15, 16, 17, 18]


def adapter(folder: Path, name: str) -> DesiredAdapter:
    path = folder / f"sha256-of-{name}"
    path.mkdir(exist_ok=True)
    scores, base = _tokens.logprobs(path.name, TOKENS), _tokens.logprobs("base", TOKENS)
    return DesiredAdapter(name, str(path), [Probe(TOKENS, 2, scores[2:], base[2:])])


class Desires:
    """The adapters that the database wants; `looks` counts the answers."""

    def __init__(self, *adapters: DesiredAdapter) -> None:
        self.adapters: list[DesiredAdapter] = list(adapters)
        self.broken = False
        self.looks = 0

    async def __call__(self) -> Sequence[DesiredAdapter]:
        self.looks += 1
        if self.broken:
            raise ConnectionError("the database is down")
        return self.adapters

    async def pass_by(self, looks: int = 3) -> None:
        """Wait until the reconciler has looked a few more times, and so has done what it would do."""
        seen = self.looks
        await until(lambda: self.looks >= seen + looks)


@asynccontextmanager
async def reconciling(
    fakes: Sequence[FakeVllm], connections: Connections, desires: Desires, **options: Any
) -> AsyncIterator[tuple[EnginePool, Reconciler]]:
    engines = [Engine(fake.url, connections, TIMES) for fake in fakes]
    async with (
        EnginePool(engines, interval=0.03) as pool,
        Reconciler(pool, desires, interval=0.03, **options) as reconciler,
    ):
        await until(lambda: any(replica.ready for replica in pool.replicas))
        yield pool, reconciler


def known_to(pool: EnginePool) -> set[str]:
    """Return the adapters that the pool's first replica was seen to have, resident or not."""
    listing = pool.replicas[0].listing
    return set() if listing is None else set(listing.adapters)


@pytest.fixture
def style(tmp_path: Path) -> DesiredAdapter:
    return adapter(tmp_path, "kestrel.style.0a1b2c3d")


async def test_loads_proves_and_then_serves(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    desires = Desires(style)
    async with reconciling([fake], connections, desires) as (pool, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        assert fake.adapters == {style.served_name: Path(style.path)}
        assert len(fake.requests(COMPLETIONS)) == 2
        pool.pick(style.served_name).release()
        assert reconciler.list_failures() == []
        await desires.pass_by()
        assert len(fake.requests(LOAD)) == 1, "what is there isn't loaded again"


async def test_not_served_before_the_proof(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    fake.script(faults.hang(), path=COMPLETIONS)
    async with reconciling([fake], connections, Desires(style)) as (pool, reconciler):
        await until(lambda: fake.requests(COMPLETIONS))
        assert style.served_name in fake.adapters
        with pytest.raises(AdapterNotLoaded):
            pool.pick(style.served_name)
        await reconciler.wait_until_resident(style.served_name, 10)


async def test_every_replica_gets_it(connections: Connections, style: DesiredAdapter) -> None:
    async with (
        FakeVllm() as one,
        FakeVllm() as two,
        reconciling([one, two], connections, Desires(style)) as (pool, reconciler),
    ):
        await until(lambda: all(replica.ready for replica in pool.replicas))
        await reconciler.wait_until_resident(style.served_name, 5)
        assert style.served_name in one.adapters
        assert style.served_name in two.adapters


async def test_a_slow_load_holds_up_no_other_replica(connections: Connections, style: DesiredAdapter) -> None:
    async with FakeVllm() as slow, FakeVllm() as quick:
        slow.script(faults.hang(), path=LOAD)
        async with reconciling([slow, quick], connections, Desires(style)) as (pool, _):
            await until(lambda: style.served_name in pool.replicas[1].resident)
            assert pool.replicas[0].resident == set()


async def test_unloads_what_is_not_wanted(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    other = adapter(tmp_path, "harbor.style.99999999")
    desires = Desires(style, other)
    async with reconciling([fake], connections, desires) as (pool, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        await reconciler.wait_until_resident(other.served_name, 5)
        desires.adapters = [other]
        reconciler.wake()
        await until(lambda: style.served_name not in fake.adapters)
        assert pool.replicas[0].resident == {other.served_name}


async def test_does_not_unload_under_a_running_request(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    desires = Desires(style)
    async with reconciling([fake], connections, desires) as (pool, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        lease = pool.pick(style.served_name)
        desires.adapters = []
        await until(lambda: style.served_name not in pool.replicas[0].resident)
        await desires.pass_by()
        assert fake.requests(UNLOAD) == []
        lease.release()
        await until(lambda: fake.adapters == {})


async def test_an_unknown_wish_changes_nothing(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    desires = Desires(style)
    async with reconciling([fake], connections, desires) as (pool, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        desires.broken = True
        await desires.pass_by()
        assert fake.requests(UNLOAD) == []
        await fake.restart()
        await until(lambda: fake.requests(LOAD)[1:] and style.served_name in pool.replicas[0].resident)


async def test_a_restarted_engine_gets_its_adapters_back(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    async with reconciling([fake], connections, Desires(style)) as (pool, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        await fake.stop()
        await until(lambda: not pool.replicas[0].ready)
        await fake.start()
        await until(lambda: pool.replicas[0].ready)
        await reconciler.wait_until_resident(style.served_name, 5)
        assert style.served_name in fake.adapters
        assert len(fake.requests(COMPLETIONS)) == 4, "proven again"


async def test_a_restart_between_two_health_checks_is_noticed_by_a_request(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    engine = Engine(fake.url, connections, TIMES)
    async with (
        EnginePool([engine], interval=600) as pool,
        Reconciler(pool, Desires(style), interval=0.03) as reconciler,
    ):
        await reconciler.wait_until_resident(style.served_name, 10)
        await fake.restart()
        with pool.pick(style.served_name) as lease:
            lease.note_missing_adapter()
        await until(lambda: style.served_name in pool.replicas[0].resident)
        assert style.served_name in fake.adapters


@pytest.mark.parametrize(
    ("status", "says"), [(400, "rank 64"), (404, "set BRAID_ENGINE_ADAPTER_DIR"), (500, "rank 64")]
)
async def test_a_refused_load_is_not_tried_again_until_a_restart(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, status: int, says: str
) -> None:
    fake.script(faults.status(status, "LoRA rank 64 is greater than max_lora_rank 16."), path=LOAD)
    desires = Desires(style)
    async with reconciling([fake], connections, desires) as (pool, reconciler):
        with pytest.raises(AdapterUnservable) as caught:
            await reconciler.wait_until_resident(style.served_name, 5)
        assert says in caught.value.reason
        await desires.pass_by()
        assert len(fake.requests(LOAD)) == 1
        (failure,) = reconciler.list_failures()
        assert failure.permanent
        assert failure.url == fake.url
        await fake.stop()
        await until(lambda: not pool.replicas[0].ready)
        await fake.start()
        await until(lambda: style.served_name in pool.replicas[0].resident)
        assert reconciler.list_failures() == []


async def test_one_bad_adapter_does_not_stop_the_others(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    bad = adapter(tmp_path, "harbor.bad.00000000")
    fake.rule = lambda received: faults.status(500) if bad.served_name.encode() in received.body else None
    async with reconciling([fake], connections, Desires(bad, style)) as (_, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        with pytest.raises(AdapterUnservable):
            await reconciler.wait_until_resident(bad.served_name, 5)


@pytest.mark.parametrize("fault", [faults.refuse(), faults.status(503)])
async def test_a_passing_fault_is_tried_again_with_back_off(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, fault: faults.Fault
) -> None:
    # On a kept connection, a request that nobody took is sent again at once.
    fake.script(*[fault] * (2 if fault.kind == "refuse" else 1), path=LOAD)
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        await until(lambda: reconciler.list_failures())
        (failure,) = reconciler.list_failures()
        assert not failure.permanent
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.wait_until_resident(style.served_name, 0.1)
        assert failure.reason in caught.value.detail
        await reconciler.wait_until_resident(style.served_name, 30)
        first, *_, last = fake.requests(LOAD)
        assert last.started - first.started >= 0.9


async def test_an_adapter_that_does_nothing_is_refused_and_unloaded(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.inert.add(style.served_name)
    async with reconciling([fake], connections, Desires(style)) as (pool, reconciler):
        with pytest.raises(AdapterUnservable, check=lambda error: "like the base model" in error.reason):
            await reconciler.wait_until_resident(style.served_name, 5)
        assert fake.adapters == {}
        assert pool.replicas[0].resident == set()


async def test_wrong_weights_are_refused(fake: FakeVllm, connections: Connections, style: DesiredAdapter) -> None:
    fake.wrong_probes[style.served_name] = 2.0
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        with pytest.raises(AdapterUnservable, check=lambda error: "doesn't reproduce" in error.reason):
            await reconciler.wait_until_resident(style.served_name, 5)


async def test_rounding_of_another_dtype_passes(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.wrong_probes[style.served_name] = 0.05
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)


@pytest.mark.parametrize("probe", [[], [Probe(TOKENS, len(TOKENS), [], [])]], ids=["no rows", "nothing in them"])
async def test_without_reference_rows_it_is_refused_unseen(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, probe: list[Probe]
) -> None:
    bare = DesiredAdapter(style.served_name, style.path, probe)
    async with reconciling([fake], connections, Desires(bare)) as (_, reconciler):
        with pytest.raises(AdapterUnservable, check=lambda error: "no reference rows" in error.reason):
            await reconciler.wait_until_resident(style.served_name, 5)
        assert fake.requests(LOAD) == []


async def test_an_adapter_loaded_by_another_gateway_is_only_proven(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.adapters[style.served_name] = Path(style.path)
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        await reconciler.wait_until_resident(style.served_name, 5)
        assert fake.requests(LOAD) == []
        assert len(fake.requests(COMPLETIONS)) == 2


async def test_a_name_held_from_another_folder_is_never_loaded_over(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    fake.adapters[style.served_name] = tmp_path
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        with pytest.raises(AdapterUnservable, check=lambda error: "another folder" in error.reason):
            await reconciler.wait_until_resident(style.served_name, 5)
        assert fake.requests(LOAD) == []


async def test_waiting_for_an_adapter_that_nobody_wants_ends_with_that_reason(
    fake: FakeVllm, connections: Connections
) -> None:
    async with reconciling([fake], connections, Desires()) as (_, reconciler):
        with pytest.raises(AdapterNotLoaded) as caught:
            await reconciler.wait_until_resident("nobody.style.0", 0.2)
        assert "nothing wants it" in caught.value.detail


async def test_a_wake_is_quicker_than_the_interval(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    desires = Desires()
    engines = [Engine(fake.url, connections, TIMES)]
    async with EnginePool(engines, interval=0.03) as pool, Reconciler(pool, desires, interval=60) as reconciler:
        await until(lambda: any(replica.ready for replica in pool.replicas))
        desires.adapters = [style]
        await reconciler.wait_until_resident(style.served_name, 30)


async def test_an_adapter_that_is_waited_for_goes_first(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    others = [adapter(tmp_path, f"harbor.style.{number}") for number in range(3)]
    # The first of the others is on its way, so the choice is the one after it.
    fake.script(faults.delay(0.2), path=LOAD)
    async with reconciling([fake], connections, Desires(*others, style)) as (_, reconciler):
        await until(lambda: fake.requests(LOAD))
        await reconciler.wait_until_resident(style.served_name, 10)
        assert [request.json["lora_name"] for request in fake.requests(LOAD)][1] == style.served_name


async def test_a_replica_that_nobody_has_looked_at_yet_is_waited_for(
    connections: Connections, style: DesiredAdapter
) -> None:
    async with FakeVllm() as quick, FakeVllm() as slow:
        slow.script(faults.delay(0.3), path=HEALTH)
        async with reconciling([quick, slow], connections, Desires(style)) as (pool, reconciler):
            await reconciler.wait_until_resident(style.served_name, 10)
            assert [style.served_name in replica.resident for replica in pool.replicas] == [True, True]


async def test_a_second_adapter_of_the_same_name_is_not_judged_by_the_first(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.inert.add(style.served_name)
    desires = Desires(style)
    async with reconciling([fake], connections, desires) as (_, reconciler):
        with pytest.raises(AdapterUnservable):
            await reconciler.wait_until_resident(style.served_name, 10)
        fake.inert.clear()
        desires.adapters = [msgspec.structs.replace(style, id="adapter_2")]
        await reconciler.wait_until_resident(style.served_name, 10)
        fake.inert.add(style.served_name)
        desires.adapters = [msgspec.structs.replace(style, id="adapter_3")]
        with pytest.raises(AdapterUnservable):
            await reconciler.wait_until_resident(style.served_name, 10)


async def test_an_engine_that_was_away_during_the_probe_is_probed_again(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.script(faults.delay(0.5), path=COMPLETIONS)
    async with reconciling([fake], connections, Desires(style)) as (pool, reconciler):
        await until(lambda: fake.requests(COMPLETIONS))
        fake.healthy = False
        await until(lambda: not pool.replicas[0].ready)
        fake.healthy = True
        await until(lambda: pool.replicas[0].ready)
        await reconciler.wait_until_resident(style.served_name, 10)
        assert len(fake.requests(COMPLETIONS)) in (3, 4)
        assert len(fake.requests(LOAD)) == 1


async def test_an_unload_that_fails_is_tried_again(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter
) -> None:
    fake.adapters = {"nobodys": Path(style.path)}
    fake.script(faults.status(500), path=UNLOAD)
    async with reconciling([fake], connections, Desires(style)) as (_, reconciler):
        await until(lambda: "nobodys" not in fake.adapters)
        assert len(fake.requests(UNLOAD)) == 2
        await reconciler.wait_until_resident(style.served_name, 10)


async def test_adapters_outside_of_our_folder_are_left_alone(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    fake.adapters = {"operators-own": Path("/srv/lora"), "neighbours": Path(f"{tmp_path}-2/x"), "ours": tmp_path / "x"}
    desires = Desires(style)
    async with reconciling([fake], connections, desires, folder=str(tmp_path)) as (_, reconciler):
        await reconciler.wait_until_resident(style.served_name, 10)
        await until(lambda: "ours" not in fake.adapters)
        await desires.pass_by()
        assert set(fake.adapters) == {"operators-own", "neighbours", style.served_name}


async def test_adapters_that_the_database_never_had_are_left_alone(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    """A gateway that was started with another database doesn't empty the engines of this one."""

    async def find_known(names: Collection[str]) -> set[str]:
        return {"withdrawn"} & set(names)

    fake.adapters = {"theirs": tmp_path / "a", "withdrawn": tmp_path / "b"}
    desires = Desires(style)
    async with reconciling([fake], connections, desires, folder=str(tmp_path), find_names=find_known) as (
        _,
        reconciler,
    ):
        await reconciler.wait_until_resident(style.served_name, 10)
        await until(lambda: "withdrawn" not in fake.adapters)
        await desires.pass_by()
        assert set(fake.adapters) == {"theirs", style.served_name}


async def test_a_load_that_breaks_stops_no_other(
    fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = adapter(tmp_path, "harbor.broken.0")

    async def measure_or_break(engine: Engine, desired: DesiredAdapter, listing: ModelListing) -> ProbeResult:
        if desired.served_name == broken.served_name:
            raise ZeroDivisionError("nobody thought of this")
        return await measure(engine, desired, listing)

    monkeypatch.setattr("gateway.engines.reconcile.measure", measure_or_break)
    async with reconciling([fake], connections, Desires(broken, style)) as (_, reconciler):
        await reconciler.wait_until_resident(style.served_name, 10)
        await until(reconciler.list_failures)
        (failure,) = reconciler.list_failures()
        assert (failure.served_name, failure.permanent) == (broken.served_name, False)
        assert "nobody thought of this" in failure.reason


async def test_a_load_that_hangs_lets_the_others_go_on(
    connections: Connections, style: DesiredAdapter, tmp_path: Path
) -> None:
    async with FakeVllm() as fake:
        hanging = [adapter(tmp_path, f"harbor.hangs.{number}") for number in range(2)]
        fake.rule = lambda received: faults.hang() if b"harbor.hangs" in received.body else None
        engine = Engine(fake.url, connections, replace(TIMES, load=60))
        desires, retired = Desires(*hanging, style), adapter(tmp_path, "harbor.style.old")
        async with (
            EnginePool([engine], interval=0.03) as pool,
            Reconciler(pool, desires, interval=0.03, turn_seconds=0.1) as reconciler,
        ):
            await reconciler.wait_until_resident(style.served_name, 20)
            fake.adapters[retired.served_name] = Path(retired.path)
            await until(lambda: retired.served_name not in fake.adapters)
            assert len(fake.requests(LOAD)) == 3, "a load that hangs isn't asked for again"


async def test_one_replica_that_has_it_is_enough_to_answer(connections: Connections, style: DesiredAdapter) -> None:
    async with FakeVllm() as slow, FakeVllm() as quick:
        slow.rule = lambda received: faults.delay(0.4) if received.path == LOAD else None
        async with reconciling([slow, quick], connections, Desires(style)) as (pool, reconciler):
            await until(lambda: all(replica.ready for replica in pool.replicas))
            await reconciler.wait_until_resident(style.served_name, 10, everywhere=False)
            assert [style.served_name in replica.resident for replica in pool.replicas] == [False, True]
            await reconciler.wait_until_resident(style.served_name, 10)
            assert [style.served_name in replica.resident for replica in pool.replicas] == [True, True]


async def test_requests_that_wake_it_do_not_make_it_look_back_to_back(fake: FakeVllm, connections: Connections) -> None:
    desires = Desires()
    engines = [Engine(fake.url, connections, TIMES)]
    async with EnginePool(engines, interval=60) as pool, Reconciler(pool, desires, interval=60) as reconciler:
        await until(lambda: desires.looks)
        began = time.monotonic()
        for _ in range(50):
            reconciler.wake()
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - began
        assert 1 < desires.looks <= seconds / 0.1 + 3


class TestTwoOnOneEngine:
    """A gateway's reconciler and a worker's, with databases that answer at different times."""

    async def test_both_prove_an_adapter_that_one_of_them_loads(
        self, fake: FakeVllm, connections: Connections, style: DesiredAdapter
    ) -> None:
        desires = Desires(style)
        async with (
            reconciling([fake], connections, desires) as (_, one),
            reconciling([fake], connections, desires) as (_, other),
        ):
            await asyncio.gather(
                one.wait_until_resident(style.served_name, 10), other.wait_until_resident(style.served_name, 10)
            )
            assert fake.adapters == {style.served_name: Path(style.path)}
            assert one.list_failures() == other.list_failures() == []

    async def test_one_that_has_not_looked_since_it_appeared_does_not_unload_it(
        self, fake: FakeVllm, connections: Connections, style: DesiredAdapter
    ) -> None:
        late, answered = Desires(), asyncio.Event()

        async def answer_late() -> Sequence[DesiredAdapter]:
            """Answer the second time with what was true when it was asked, but only after the adapter was seen here."""
            adapters = list(await late())
            if late.looks == 2:
                await until(lambda: style.served_name in known_to(pool))
                answered.set()
            return adapters

        engine = Engine(fake.url, connections, TIMES)
        async with EnginePool([engine], interval=0.03) as pool, Reconciler(pool, answer_late, interval=0.03):
            await until(lambda: late.looks == 2)
            late.adapters = [style]
            async with reconciling([fake], connections, Desires(style)) as (_, worker):
                await worker.wait_until_resident(style.served_name, 10)
                await answered.wait()
                await late.pass_by()
                await until(lambda: style.served_name in pool.replicas[0].resident)
                assert fake.requests(UNLOAD) == []

    async def test_a_bad_adapter_is_rejected_by_both_and_not_tried_for_ever(
        self, fake: FakeVllm, connections: Connections, style: DesiredAdapter
    ) -> None:
        fake.wrong_probes[style.served_name] = 5.0
        # Long enough for each pool to see what the other's reconciler loads and unloads.
        fake.rule = lambda received: faults.delay(0.1) if received.path == COMPLETIONS else None
        desires = Desires(style)
        async with reconciling([fake], connections, desires) as (_, one):
            with pytest.raises(AdapterUnservable, check=lambda error: "doesn't reproduce" in error.reason):
                await one.wait_until_resident(style.served_name, 10)
            async with reconciling([fake], connections, desires) as (_, other):
                with pytest.raises(AdapterUnservable, check=lambda error: "doesn't reproduce" in error.reason):
                    await other.wait_until_resident(style.served_name, 10)
                await desires.pass_by(60)
        assert len(fake.requests(LOAD)) == 2
        assert fake.adapters == {}

    async def test_unloading_twice_does_no_harm(
        self, fake: FakeVllm, connections: Connections, style: DesiredAdapter, tmp_path: Path
    ) -> None:
        other = adapter(tmp_path, "harbor.style.99999999")
        desires = Desires(style, other)
        async with (
            reconciling([fake], connections, desires) as (first_pool, first),
            reconciling([fake], connections, desires) as (second_pool, second),
        ):
            for reconciler in (first, second):
                for one in (style, other):
                    await reconciler.wait_until_resident(one.served_name, 10)
            desires.adapters = [other]
            await until(lambda: style.served_name not in fake.adapters)
            for reconciler, pool in ((first, first_pool), (second, second_pool)):
                await reconciler.wait_until_resident(other.served_name, 10)
                await until(lambda pool=pool: pool.replicas[0].resident == {other.served_name})
                assert reconciler.list_failures() == []

    async def test_one_that_loses_an_adapter_to_the_other_brings_it_back(
        self, fake: FakeVllm, connections: Connections, style: DesiredAdapter
    ) -> None:
        async with reconciling([fake], connections, Desires(style)) as (pool, reconciler):
            await reconciler.wait_until_resident(style.served_name, 10)
            async with reconciling([fake], connections, Desires()):
                await until(lambda: fake.requests(UNLOAD))
            await until(lambda: len(fake.requests(LOAD)) >= 2 and style.served_name in pool.replicas[0].resident)
