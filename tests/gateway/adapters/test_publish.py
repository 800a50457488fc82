"""The steps from weights to a ready adapter, with a source and checks that the tests script."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.identity import AdapterRefused
from gateway.adapters.lifecycle import TransitionForbidden, withdraw
from gateway.adapters.publish import AdapterCheck, AdapterPublisher, name_adapter
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.stored_adapter import Description, StoredAdapter
from gateway.adapters.tables import AdapterRow
from gateway.artifacts import Artifacts
from gateway.db import Database, open_database
from gateway.engines.served_base_model import ServedBaseModel
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobRow, enqueue
from gateway.jobs.claim import claim_next
from gateway.jobs.repository import change
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from tests.fakes.peft import write_adapter

TENANT = "ten_kestrel"


class Source:
    """Makes the same small adapter each time, and takes down what it is asked for."""

    def __init__(self, *, spoil: str | None = None) -> None:
        self.asked: list[str] = []
        self.spoil = spoil

    async def make(self, work: Path) -> Path:
        self.asked.append("make")
        return write_adapter(work / "adapter", base_name="base", spoil=self.spoil)

    async def stop(self) -> None:
        self.asked.append("stop")

    async def describe(self, folder: Path, work: Path) -> Description:
        self.asked.append("describe")
        return Description({"probe": []}, {"color": "red"})

    async def name(self, session: AsyncSession, stored_adapter: StoredAdapter) -> AdapterRow:
        self.asked.append("name")
        row = AdapterRow(
            id=f"adapter_{time.monotonic_ns()}",
            created_at=1,
            name="voice",
            digest=stored_adapter.digest,
            base_model="base",
            rank=stored_adapter.rank,
            source="test",
            manifest=stored_adapter.manifest,
            job_id="job_1",
        )
        return await name_adapter(session, row, tenant=TENANT, tenant_name="kestrel")

    async def complete(self, stored_adapter: StoredAdapter) -> dict[str, Any]:
        self.asked.append("complete")
        return {"size": "large"}

    async def finish(
        self, session: AsyncSession, row: AdapterRow, stored_adapter: StoredAdapter, checkpoints: Sequence[AdapterRow]
    ) -> None:
        self.asked.append(f"finish {stored_adapter.details['color']}")


class Check:
    def __init__(self, source: Source, name: str, error: Exception | None = None) -> None:
        self._source = source
        self._name = name
        self.error = error

    async def __call__(self, row: AdapterRow) -> None:
        self._source.asked.append(f"{self._name} {row.status}")
        if self.error is not None:
            raise self.error


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings.database) as opened:
        async with opened.begin() as session:
            session.add(TenantRow(id=TENANT, name="kestrel", created_at=0))
            await session.flush()
            await enqueue(session, TENANT, kind="make", queue_key="train", subject="subject", payload={})
        yield opened


async def claim_job(database: Database) -> Claim:
    async with database.begin() as session:
        await change(session, JobRow.kind == "make", lease_until=0.0)
    claim = await claim_next(database, kinds=["make"], worker="w", lease_seconds=60)
    assert claim is not None
    return claim


def publisher(settings: Settings, *checks: AdapterCheck) -> AdapterPublisher:
    artifacts, base = Artifacts(settings.artifacts), ServedBaseModel.load(settings)
    return AdapterPublisher(artifacts, base, checks, settings.home / "work", max_rank=16)


def folders(settings: Settings) -> list[str]:
    """Return the names of the folders that claims work in."""
    return sorted(path.name for path in (settings.home / "work").glob("*"))


async def status_of(database: Database) -> str | None:
    async with database.read() as session:
        rows = await AdapterRepository(session, TENANT).list_all()
    return rows[-1].status if rows else None


async def test_the_steps_come_in_order_and_a_gate_behind_the_verification(
    database: Database, settings: Settings
) -> None:
    source = Source()
    checks = [Check(source, "verify"), Check(source, "gate")]
    await publisher(settings, *checks).publish(await claim_job(database), source)
    assert source.asked == ["make", "describe", "name", "verify probing", "gate probing", "complete", "finish red"]
    assert await status_of(database) == "ready"
    async with database.read() as session:
        (row,) = await AdapterRepository(session, TENANT).list_all()
    assert row.manifest == {"probe": [], "size": "large"}
    assert folders(settings) == []


async def test_a_gate_that_refuses_keeps_an_adapter_from_clients(database: Database, settings: Settings) -> None:
    source = Source()
    checks = [Check(source, "verify"), Check(source, "gate", AdapterRefused("It forgot how to add."))]
    with pytest.raises(AdapterRefused, match="forgot"):
        await publisher(settings, *checks).publish(await claim_job(database), source)
    assert await status_of(database) == "probing"
    assert source.asked[-1] == "gate probing"


async def test_a_delayed_check_is_repeated_and_nothing_before_it(database: Database, settings: Settings) -> None:
    source = Source()
    check = Check(source, "verify", JobDelayed("the engines are away"))
    published = publisher(settings, check)
    with pytest.raises(JobDelayed):
        await published.publish(await claim_job(database), source)
    check.error = None
    await published.publish(await claim_job(database), source)
    assert source.asked == [
        "make",
        "describe",
        "name",
        "verify probing",
        "name",
        "verify probing",
        "complete",
        "finish red",
    ]
    assert await status_of(database) == "ready"


async def test_weights_that_are_here_already_are_not_checked_again(database: Database, settings: Settings) -> None:
    first, second = Source(), Source()
    await publisher(settings, Check(first, "verify")).publish(await claim_job(database), first)
    claim = await claim_job(database)
    claim.state = {}
    await publisher(settings, Check(second, "verify")).publish(claim, second)
    assert second.asked == ["make", "describe", "name", "complete", "finish red"]


async def test_weights_that_fail_the_verdict_are_not_stored(database: Database, settings: Settings) -> None:
    source = Source(spoil="nan")
    claim = await claim_job(database)
    with pytest.raises(AdapterRefused, match="not_finite"):
        await publisher(settings).publish(claim, source)
    assert source.asked == ["make"]
    assert claim.state == {}
    assert list((settings.artifacts / "adapters").iterdir()) == []
    assert folders(settings) == []


async def test_an_adapter_that_is_deleted_at_the_last_moment_is_not_brought_back(
    database: Database, settings: Settings
) -> None:
    """The run fails, to be tried again, which makes it anew."""
    first, second = Source(), Source()
    await publisher(settings).publish(await claim_job(database), first)

    async def delete(session: AsyncSession, row: AdapterRow, *_: object) -> None:
        withdraw(await AdapterRepository(session, TENANT).get(row.id))

    second.finish = delete  # type: ignore[method-assign]
    with pytest.raises(TransitionForbidden, match="is deleted and can't become ready"):
        await publisher(settings).publish(await claim_job(database), second)


async def test_a_cancelled_job_stops_in_the_middle_of_a_step(database: Database, settings: Settings) -> None:
    begun = asyncio.Event()

    class Slow(Source):
        async def make(self, work: Path) -> Path:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

    claim = await claim_job(database)
    task = asyncio.create_task(publisher(settings).publish(claim, Slow()))
    await begun.wait()
    claim.cancelled.set()
    with pytest.raises(JobCancelled):
        await task
    assert folders(settings) == []


async def test_who_lost_a_job_leaves_the_next_ones_folder_alone(database: Database, settings: Settings) -> None:
    class Slow(Source):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.over = asyncio.Event(), asyncio.Event()

        async def make(self, work: Path) -> Path:
            self.begun.set()
            await self.over.wait()
            return await super().make(work)

    published, first, second = publisher(settings), Slow(), Slow()
    loser = asyncio.create_task(published.publish(await claim_job(database), first))
    await first.begun.wait()
    winner = asyncio.create_task(published.publish(await claim_job(database), second))
    await second.begun.wait()
    assert folders(settings) == ["subject.2"], "a killed worker's folder is removed by the next one"
    loser.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loser
    assert folders(settings) == ["subject.2"]
    second.over.set()
    await winner
    assert await status_of(database) == "ready"
    assert folders(settings) == []


async def test_the_end_of_a_job_leaves_no_folder_of_any_claim(database: Database, settings: Settings) -> None:
    work = settings.home / "work"
    for name in ("subject.1", "subject.2", "subject.3", "subject.x", "subject2.1"):
        (work / name).mkdir(parents=True)
    await claim_job(database)
    claim = await claim_job(database)
    async with claim.end("failed", None) as session:
        await publisher(settings).abandon(session, claim, "It failed.")
    assert folders(settings) == ["subject.3", "subject.x", "subject2.1"]
