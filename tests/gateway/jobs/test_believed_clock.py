"""A wall clock that is far ahead hides what has had its time by it, and deletes nothing."""

import os
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from gateway.answers.tables import AnswerRow
from gateway.artifacts import Artifacts
from gateway.composition import open_worker
from gateway.db import Database, open_database
from gateway.files.tables import FileRow, UploadRow
from gateway.jobs import BelievedClock, believed_clock
from gateway.jobs.tables import ClockRow, JobRow
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from tests.gateway.conftest import on_both_databases
from tests.gateway.jobs.test_housekeeper import DAY, answer, deleted_adapter, ids, job
from tests.gateway.tuning import settings
from tests.gateway.worker import TIMINGS
from tests.waiting import until

__all__ = ["settings"]

YEAR = 365.0 * DAY
_RIGHT = time.time


def file(id: str, tenant: str, expires: float) -> FileRow:
    row = FileRow(id=id, created_at=1, filename="a", purpose="batch", digest="d" * 64, bytes=1, expires_at=int(expires))
    row.tenant_id = tenant
    return row


async def has_run_its_chores(database: Database, settings: Settings, tenant: str) -> None:
    """Wait until a worker that has just started has done each chore once; the last one is of adapters."""
    folder = Artifacts(settings.artifacts).locate_adapter("old")
    folder.mkdir(parents=True)
    os.utime(folder, (1, 1))
    async with database.begin() as session:
        row = deleted_adapter("old", 1)
        row.tenant_id = tenant
        session.add(row)
    async with open_worker(settings, TIMINGS):
        await until(lambda: not folder.exists())


async def test_a_clock_that_jumps_a_year_ahead_deletes_nothing_that_is_young(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = _RIGHT()
    lost = Artifacts(settings.artifacts).root / "files" / ("e" * 64)
    async with open_database(settings.database) as database:
        async with database.begin() as session:
            tenant = (await session.scalars(select(TenantRow.id))).first() or ""
            session.add_all([answer("old", 1, tenant), answer("young", int(now), tenant)])
            ended = job("ended", "succeeded", int(now))
            ended.tenant_id = tenant
            session.add_all([ended, file("file-old", tenant, 1), file("file-young", tenant, now + 30 * DAY)])
            session.add(ClockRow(id="workers", believed=now))
        monkeypatch.setattr(time, "time", lambda: _RIGHT() + YEAR)
        lost.parent.mkdir(parents=True, exist_ok=True)
        lost.write_bytes(b"bytes that are about to get their row")
        await has_run_its_chores(database, settings, tenant)
        assert "ended" in await ids(database, JobRow)
        async with database.read() as session:
            assert (await session.scalars(select(FileRow.id))).all() == ["file-young"]
        assert lost.exists()
        assert await ids(database, AnswerRow) == ["young"]


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clocks of the believed one: `wall` and `steady` in seconds."""
    made = SimpleNamespace(wall=1_800_000_000.0, steady=50.0)
    fake = SimpleNamespace(time=lambda: made.wall, monotonic=lambda: made.steady)
    monkeypatch.setattr(believed_clock, "time", fake)
    return made


def pass_by(clocks: SimpleNamespace, seconds: float) -> None:
    clocks.wall += seconds
    clocks.steady += seconds


@on_both_databases
async def test_a_clock_is_believed_by_a_day_per_hour_and_never_beyond_its_own_time(
    database: Database, clocks: SimpleNamespace
) -> None:
    start, clock = clocks.wall, BelievedClock(database)
    assert clock() == 0.0, "nothing is old until it is known what is believed"
    await clock.follow()
    assert clock() == start
    clocks.wall += YEAR
    await clock.follow()
    assert clock() == start
    for _ in range(60):
        pass_by(clocks, 60.0)
        await clock.follow()
    assert clock() == pytest.approx(start + DAY)
    clocks.wall = start - 7 * DAY
    assert clock() == start - 7 * DAY, "a clock that was set back is believed at once: by it less is old"
    clocks.wall = start + 2 * DAY
    for _ in range(70):
        pass_by(clocks, 60.0)
        await clock.follow()
    assert clock() == clocks.wall, "a day later all is as if nothing had been"


@on_both_databases
async def test_what_is_believed_outlives_workers_and_is_shared_by_them(
    database: Database, clocks: SimpleNamespace
) -> None:
    start = clocks.wall
    await BelievedClock(database).follow()
    clocks.wall += YEAR
    for _ in range(5):  # one whose machine is wrong, started again and again
        clock = BelievedClock(database)
        await clock.follow()
        assert clock() == start


@on_both_databases
async def test_a_boot_in_1970_is_no_reason_to_wait_for_years(database: Database, clocks: SimpleNamespace) -> None:
    start = clocks.wall
    await BelievedClock(database).follow()
    early = BelievedClock(database)
    clocks.wall = 5.0
    for _ in range(5):
        pass_by(clocks, 60.0)
        await early.follow()
    assert early() == clocks.wall
    clocks.wall = start + 3600.0
    for _ in range(20):
        pass_by(clocks, 60.0)
        await early.follow()
    assert early() == clocks.wall


async def test_a_clock_that_is_not_believed_is_told_once_per_hour(
    database: Database, clocks: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = BelievedClock(database)
    await clock.follow()
    assert "clock_not_believed" not in capsys.readouterr().out
    clocks.wall += YEAR
    for _ in range(30):
        pass_by(clocks, 60.0)
        await clock.follow()
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("clock_not_believed") == 1


async def test_an_upload_that_is_hidden_by_a_clock_ahead_is_there_again_when_it_is_set_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(_RIGHT())
    async with open_database(settings.database) as database:
        async with database.begin() as session:
            tenant = (await session.scalars(select(TenantRow.id))).first() or ""
            values = {"created_at": now, "filename": "a", "purpose": "batch", "bytes": 1, "status": "pending"}
            session.add(UploadRow(id="upload_1", tenant_id=tenant, expires_at=now + 3600, **values))
            session.add(ClockRow(id="workers", believed=float(now)))
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: _RIGHT() + DAY)
            await has_run_its_chores(database, settings, tenant)
        async with database.read() as session:
            assert (await session.get_one(UploadRow, "upload_1")).status == "pending"
