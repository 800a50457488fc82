"""Rows go when their time is over, in bounded batches; chores that fail are done again."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.tables import AdapterRow
from gateway.answers.service import delete_old_answers
from gateway.answers.tables import AnswerRow
from gateway.artifacts import Artifacts
from gateway.composition import open_worker
from gateway.db import Database, open_database
from gateway.evals import EvalRow, EvalRunRow
from gateway.evaluation_jobs import EvaluationRow
from gateway.fine_tuning import FineTuningJobRow
from gateway.fine_tuning.event_log import delete_old_events
from gateway.fine_tuning.tables import EventRow
from gateway.jobs import Chore, Housekeeper, JobRow, delete_ended, delete_older
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from tests.gateway.tuning import settings
from tests.gateway.worker import TIMINGS
from tests.waiting import until

__all__ = ["settings"]

DAY = 86_400


def answer(id: str, created: int, tenant: str = "kestrel") -> AnswerRow:
    return AnswerRow(id=id, tenant_id=tenant, created_at=created, model="base", record={})


def event(id: str, created: int) -> EventRow:
    values: dict[str, Any] = {"level": "info", "kind": "message", "message": "", "data": {}}
    return EventRow(id=id, tenant_id="kestrel", created_at=created, fine_tuning_job_id="ftjob-1", **values)


def job(id: str, status: str, finished: int | None) -> JobRow:
    values: dict[str, Any] = {"kind": "ingest", "queue_key": id, "subject": id, "payload": {}, "state": {}}
    return JobRow(id=id, tenant_id="kestrel", created_at=1, status=status, finished_at=finished, **values)


def eval_run(id: str, finished: int) -> EvalRunRow:
    values: dict[str, Any] = {"meta": {}, "data_source": {}, "criteria_results": [], "usage": [], "total": 0}
    values |= {"name": "", "status": "completed", "model": "base", "items_digest": "", "key": ""}
    return EvalRunRow(id=id, tenant_id="kestrel", created_at=1, eval_id="eval", finished_at=finished, **values)


def evaluation(id: str, finished: int) -> EvaluationRow:
    values: dict[str, Any] = {"kind": "search", "status": "succeeded", "source": "", "stores": [], "questions": 1}
    values |= {"score_threshold": 0.0, "questions_digest": "", "total": 1}
    return EvaluationRow(id=id, tenant_id="kestrel", created_at=1, finished_at=finished, **values)


def deleted_adapter(digest: str, changed: int) -> AdapterRow:
    values: dict[str, Any] = {"name": "house", "base_model": "base", "rank": 8, "source": "test", "manifest": {}}
    names = {"id": digest, "model": f"ft:{digest}", "served_name": digest, "digest": digest}
    return AdapterRow(tenant_id="kestrel", created_at=1, status="deleted", changed_at=changed, **names, **values)


async def add_tenant_with_job(session: AsyncSession) -> None:
    session.add(TenantRow(id="kestrel", name="kestrel", created_at=1))
    await session.flush()
    values: dict[str, Any] = {"hyperparameters": {}, "meta": {}, "braid": {}, "result_files": [], "seed": 1}
    values |= {"status": "succeeded", "model": "base", "training_file": "f"}
    session.add(FineTuningJobRow(id="ftjob-1", tenant_id="kestrel", created_at=1, **values))
    await session.flush()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        async with opened.begin() as session:
            await add_tenant_with_job(session)
            session.add(TenantRow(id="harbor", name="harbor", created_at=1))
        yield opened


async def ids(database: Database, table: type[Any]) -> list[str]:
    async with database.read() as session:
        return sorted((await session.scalars(select(table.id))).all())


@pytest.mark.parametrize(
    ("table", "delete", "make"),
    [(AnswerRow, delete_old_answers, answer), (EventRow, delete_old_events, event)],
)
async def test_rows_go_when_they_are_older(
    database: Database,
    table: type[Any],
    delete: Callable[[AsyncSession, int, int], Awaitable[int]],
    make: Callable[[str, int], Any],
) -> None:
    now = int(time.time())
    async with database.begin() as session:
        session.add_all([make("old", now - 3 * DAY - 60), make("young", now - 3 * DAY + 60)])
    assert await delete_older(database, delete, 0) == 0
    assert await delete_older(database, delete, 3) == 1
    assert await ids(database, table) == ["young"]


async def test_jobs_go_some_time_after_their_end_and_live_ones_never(database: Database) -> None:
    now = int(time.time())
    async with database.begin() as session:
        session.add_all(
            [
                job("ended", "succeeded", now - 3 * DAY),
                job("just", "failed", now - DAY),
                job("queued", "queued", None),
                job("running", "running", None),
            ]
        )
    assert await delete_older(database, delete_ended, 2) == 1
    assert await ids(database, JobRow) == ["just", "queued", "running"]


async def test_a_batch_is_bounded_and_tenants_are_alike(database: Database) -> None:
    sizes: list[int] = []

    async def delete(session: AsyncSession, before: int, limit: int) -> int:
        deleted = await delete_old_answers(session, before, limit)
        sizes.append(deleted)
        return deleted

    async with database.begin() as session:
        session.add_all([answer(f"a{number}", number, ("kestrel", "harbor")[number % 2]) for number in range(25)])
    assert await delete_older(database, delete, 1, batch=10) == 25
    assert sizes == [10, 10, 5]
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AnswerRow)) == 0


async def test_old_rows_are_found_by_an_index(database: Database) -> None:
    async with database.engine.connect() as connection:
        for table, column in (("answers", "created_at"), ("fine_tuning_events", "created_at"), ("jobs", "finished_at")):
            query = f"EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE {column} < 5 ORDER BY {column} LIMIT 9"
            plan = " ".join(str(row) for row in await connection.exec_driver_sql(query))
            assert f"ix_{table}_{column}" in plan


async def test_chores_are_counted_and_one_that_fails_is_done_again() -> None:
    counted: list[tuple[str, int]] = []
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise OSError("a disk")
        return 3

    keeper = Housekeeper([Chore("flaky", 0.01, work)], lambda *args: counted.append(args), first_seconds=0)
    task = asyncio.create_task(keeper.run())
    await until(lambda: len(counted) >= 2)
    task.cancel()
    assert counted[:2] == [("flaky", 3), ("flaky", 3)]


async def test_a_worker_keeps_house(settings: Settings) -> None:
    async with open_database(settings.database) as database:
        async with database.begin() as session:
            tenant = (await session.scalars(select(TenantRow.id))).first() or ""
            session.add_all([answer("old", 1, tenant), answer("young", int(time.time()), tenant)])
        async with open_worker(settings, TIMINGS):
            await until(lambda: _is_alone(database, "young"))


async def test_every_kind_of_row_is_kept_for_its_own_time(settings: Settings) -> None:
    """All times differ, so that none may stand in another's place."""
    days = {"answer_days": 1, "job_days": 2, "event_days": 3, "eval_run_days": 4, "report_days": 6}
    now = int(time.time())
    times = {
        name: {"young": now - number * DAY + DAY // 2, "old": now - number * DAY - DAY // 2}
        for name, number in (days | {"adapters": 5}).items()
    }
    settings = settings.model_copy(update={**days, "adapter_hours": 5 * 24})
    artifacts = Artifacts(settings.artifacts)
    async with open_database(settings.database) as database:
        async with database.begin() as session:
            await add_tenant_with_job(session)
            session.add(
                EvalRow(
                    id="eval",
                    tenant_id="kestrel",
                    created_at=1,
                    updated_at=1,
                    name="",
                    meta={},
                    data_source_config={},
                    testing_criteria=[],
                )
            )
            await session.flush()
            session.add_all([answer(id, at) for id, at in times["answer_days"].items()])
            session.add_all([job(id, "succeeded", at) for id, at in times["job_days"].items()])
            session.add_all([event(id, at) for id, at in times["event_days"].items()])
            session.add_all([eval_run(id, at) for id, at in times["eval_run_days"].items()])
            session.add_all([evaluation(id, at) for id, at in times["report_days"].items()])
            session.add_all([deleted_adapter(id, at) for id, at in times["adapters"].items()])
        for id in ("young", "old"):
            folder = artifacts.locate_adapter(id)
            folder.mkdir(parents=True)
            os.utime(folder, (1, 1))

        async def has_kept_the_young() -> bool:
            rows = [await ids(database, table) for table in (AnswerRow, JobRow, EventRow, EvalRunRow, EvaluationRow)]
            return [*rows, artifacts.list_adapters()] == [["young"]] * 6

        async with open_worker(settings, TIMINGS):
            await until(has_kept_the_young)


async def _is_alone(database: Database, id: str) -> bool:
    return await ids(database, AnswerRow) == [id]
