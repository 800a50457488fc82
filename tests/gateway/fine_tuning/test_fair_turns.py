"""Several trainings at once: as many as there are workers, of one tenant one after another, and tenants take turns."""

import pytest

from gateway.settings import Settings
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ended, events, retrieve, start
from tests.gateway.worker import working
from tests.waiting import until


async def test_a_tenant_with_many_trainings_keeps_nobody_waiting(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "short")
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    many = [(await start(kestrel, rows(10), seed=seed))["id"] for seed in range(3)]
    one = (await start(harbor, rows(10)))["id"]

    async def run_both() -> bool:
        states = [(await retrieve(kestrel, job))["status"] for job in many]
        return states == ["running", "queued", "queued"] and (await retrieve(harbor, one))["status"] == "running"

    async with working(settings), working(settings):
        await until(run_both)
        for job in many:
            assert (await ended(kestrel, job))["status"] == "succeeded"
        assert (await ended(harbor, one))["status"] == "succeeded"
    log = [event for job in many for event in await events(kestrel, job)]
    turns = [event["id"] for event in log if event["message"] == "Fine-tuning job started"]
    assert turns == sorted(turns)
    (other,) = [event["id"] for event in await events(harbor, one) if event["message"] == "Fine-tuning job started"]
    assert other < turns[1]


async def test_with_one_worker_the_other_tenant_is_next(gateway: Gateway, settings: Settings) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    many = [(await start(kestrel, rows(10), seed=seed))["id"] for seed in range(3)]
    one = (await start(harbor, rows(10)))["id"]
    async with working(settings):
        for client, job in [*((kestrel, job) for job in many), (harbor, one)]:
            assert (await ended(client, job))["status"] == "succeeded"
    starts: dict[str, str] = {}
    for client, job in [*((kestrel, job) for job in many), (harbor, one)]:
        (starts[job],) = [
            event["id"] for event in await events(client, job) if event["message"] == "Fine-tuning job started"
        ]
    assert sorted(starts, key=lambda job: starts[job]).index(one) <= 1
