"""Each step of the schema, up and down, with rows in the tables."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from alembic import command
from sqlalchemy import Connection, inspect, text

from gateway.db import Database, open_database
from gateway.engines.repository import read_announced_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.jobs import BelievedClock
from gateway.migrations.migrate import make_configuration

JOB = {
    "id": "job_1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "kind": "train",
    "subject": "ftjob-1",
    "status": "running",
    "payload": "{}",
    "state": '{"step": 3}',
    "fence": 2,
    "attempts": 1,
    "cancel_requested": False,
}
COLLECTION = {**JOB, "id": "job_3", "kind": "forget", "subject": "forget:ten_a", "payload": '{"digests": []}'}
FINE_TUNING_JOB = {
    "id": "ftjob-1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "status": "running",
    "model": "base",
    "training_file": "file-1",
    "result_files": "[]",
    "hyperparameters": "{}",
    "seed": 1,
    "meta": "{}",
    "braid": '{"prompt": null}',
    "job_id": "job_1",
}
EVENT = {
    "id": "ftevent-1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "fine_tuning_job_id": "ftjob-1",
    "level": "info",
    "kind": "message",
    "message": "It began.",
    "data": "{}",
}

STORE = {
    "id": "vs_1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "name": "docs",
    "meta": "{}",
    "epoch": 7,
    "last_active_at": 1,
    "max_chunk_tokens": 160,
    "overlap_tokens": 0,
}
DOCUMENT = {
    "id": "doc_1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "store_id": "vs_1",
    "key": "a.md",
    "live_key": "a.md",
    "version": 1,
    "latest": 1,
    "status": "completed",
    "usage_bytes": 3,
}
VERSION = {
    "id": "dv_1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "document_id": "doc_1",
    "version": 1,
    "file_id": "file-1",
    "filename": "a.md",
    "digest": "d",
    "bytes": 3,
    "attributes": "{}",
    "max_chunk_tokens": 160,
    "overlap_tokens": 0,
    "status": "completed",
    "chunks": 1,
    "epoch": 6,
}
ANSWER = {
    "id": "chatcmpl-1",
    "created_at": 1,
    "tenant_id": "ten_a",
    "model": "support",
    "record": '{"epochs": {"vs_1": 7}, "passages": [{"number": 1, "epoch": 7}], "usage": null}',
}


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    """A database with the first schema and a job in it."""
    async with open_database(empty_database) as opened:
        await move(opened, "0001")
        await insert(opened, "tenants", {"id": "ten_a", "name": "a", "created_at": 1})
        await insert(opened, "jobs", {**JOB, "lane": "train", "running_lane": "train"})
        await insert(opened, "jobs", {**JOB, "id": "job_2", "lane": "store:1", "running_lane": None})
        await insert(opened, "jobs", {**COLLECTION, "lane": "forget:ten_a", "running_lane": "forget:ten_a"})
        await insert(opened, "fine_tuning_jobs", FINE_TUNING_JOB)
        await insert(opened, "fine_tuning_events", EVENT)
        await insert(opened, "vector_stores", STORE)
        await insert(opened, "documents", DOCUMENT)
        await insert(opened, "document_versions", VERSION)
        await insert(opened, "answers", ANSWER)
        yield opened


async def move(database: Database, revision: str, *, down: bool = False) -> None:
    def run(connection: Connection) -> None:
        config = make_configuration()
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)

    async with database.engine.begin() as connection:
        await connection.run_sync(run)


async def insert(database: Database, table: str, row: dict[str, Any]) -> None:
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    async with database.engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.engine.connect() as connection:
        return [tuple(row) for row in (await connection.execute(text(query))).all()]


async def indexes(database: Database, table: str) -> dict[str | None, list[Any]]:
    def look(connection: Connection) -> dict[str | None, list[Any]]:
        inspector = inspect(connection)
        both = [*inspector.get_indexes(table), *inspector.get_unique_constraints(table)]
        return {one["name"]: list(one["column_names"]) for one in both}

    async with database.engine.connect() as connection:
        return await connection.run_sync(look)


async def test_the_words_come_with_the_rows_as_they_were(database: Database) -> None:
    await move(database, "0002")
    assert await rows(database, "SELECT id, queue_key, running_key, state, fence FROM jobs WHERE kind = 'train'") == [
        ("job_1", "train", "train", '{"step": 3}', 2),
        ("job_2", "store:1", None, '{"step": 3}', 2),
    ]
    query = "SELECT id, status, rows_digest, validation_rows_digest FROM fine_tuning_jobs"
    assert await rows(database, query) == [("ftjob-1", "running", None, None)]
    assert await rows(database, "SELECT message FROM fine_tuning_events") == [("It began.",)]
    listed = await indexes(database, "jobs")
    assert listed["ix_jobs_status"] == ["status", "queue_key", "id"]
    assert listed["uq_jobs_running_key"] == ["running_key"]


async def test_the_words_go_again_with_the_rows_as_they_were(database: Database) -> None:
    before = await rows(database, "SELECT * FROM jobs ORDER BY id")
    listed = await indexes(database, "jobs")
    await move(database, "0002")
    await move(database, "0001", down=True)
    assert await rows(database, "SELECT * FROM jobs ORDER BY id") == before
    assert await indexes(database, "jobs") == listed
    assert await rows(database, "SELECT id, status FROM fine_tuning_jobs") == [("ftjob-1", "running")]
    assert await rows(database, "SELECT message FROM fine_tuning_events") == [("It began.",)]


async def test_jobs_that_collect_garbage_come_under_their_new_kind(database: Database) -> None:
    await move(database, "0002")
    query = "SELECT id, subject, queue_key, running_key, payload FROM jobs WHERE kind = 'collect_garbage'"
    key = "collect_garbage:ten_a"
    assert await rows(database, query) == [("job_3", key, key, key, '{"digests": []}')]
    assert await rows(database, "SELECT id FROM jobs WHERE kind = 'forget'") == []


async def test_index_epochs_come_with_stores_versions_and_answers_as_they_were(database: Database) -> None:
    await move(database, "0002")
    assert await rows(database, "SELECT id, index_epoch FROM vector_stores") == [("vs_1", 7)]
    assert await rows(database, "SELECT id, index_epoch FROM document_versions") == [("dv_1", 6)]
    assert await rows(database, "SELECT id, store_id FROM documents") == [("doc_1", "vs_1")]
    ((record,),) = await rows(database, "SELECT record FROM answers")
    assert msgspec.json.decode(record) == {
        "index_epochs": {"vs_1": 7},
        "passages": [{"number": 1, "index_epoch": 7}],
        "usage": None,
    }


async def test_index_epochs_go_again_with_everything_as_it_was(database: Database) -> None:
    tables = ("vector_stores", "documents", "document_versions")
    before = [await rows(database, f"SELECT * FROM {table}") for table in tables]
    await move(database, "0002")
    await move(database, "0001", down=True)
    assert [await rows(database, f"SELECT * FROM {table}") for table in tables] == before
    ((record,),) = await rows(database, "SELECT record FROM answers")
    assert msgspec.json.decode(record) == msgspec.json.decode(ANSWER["record"])


async def test_the_index_comes_unknown_for_what_was_there_and_goes_again(database: Database) -> None:
    await move(database, "0003")
    before = [await rows(database, f"SELECT * FROM {table}") for table in ("vector_stores", "document_versions")]
    await move(database, "0005")
    query = "SELECT id, index_epoch, index_identity, index_whole, index_fence FROM vector_stores"
    assert await rows(database, query) == [("vs_1", 7, None, 1, 0)]
    query = "SELECT id, index_epoch, published_at, index_identity, chunker, embedded FROM document_versions"
    assert await rows(database, query) == [("dv_1", 6, None, None, None, 0)]
    assert (await indexes(database, "documents"))["ix_documents_deleted"] == ["store_id", "deleted_at"]
    await move(database, "0003", down=True)
    after = [await rows(database, f"SELECT * FROM {table}") for table in ("vector_stores", "document_versions")]
    assert after == before


async def test_the_markers_of_a_base_come_unknown_and_go_again(database: Database) -> None:
    await move(database, "0007")
    base = {"digest": "d", "name": "base", "chat_template_digest": "t", "folds_system": False, "served_at": 1.0}
    await insert(database, "base_models", base)
    before = await rows(database, "SELECT * FROM base_models")
    await move(database, "0008")
    assert await rows(database, "SELECT name, markers FROM base_models") == [("base", None)]
    await move(database, "0007", down=True)
    assert await rows(database, "SELECT * FROM base_models") == before


async def test_the_documents_of_answers_come_from_their_records_and_go_again(database: Database) -> None:
    await move(database, "0007")
    passages = [
        {"number": 1, "document_id": "doc_1", "version": 3, "index_epoch": 7, "cited": False},
        {"number": 2, "document_id": "doc_2", "version": 1, "index_epoch": 7, "cited": False},
        {"number": 3, "document_id": "doc_1", "version": 3, "index_epoch": 7, "cited": True},
    ]
    record = msgspec.json.encode({"passages": passages}).decode()
    add = text("INSERT INTO answers (id, created_at, tenant_id, model, record) VALUES (:id, 5, 'ten_a', 'm', :record)")
    async with database.begin() as session:
        await session.execute(add, [{"id": f"chatcmpl-{number:04}", "record": record} for number in range(600)])
    await move(database, "0010")
    assert await rows(database, "SELECT count(*), count(DISTINCT id) FROM answer_documents") == [(1200, 1200)]
    query = "SELECT document_id, version, index_epoch, numbers, cited, created_at, tenant_id FROM answer_documents"
    assert await rows(database, f"{query} WHERE answer_id = 'chatcmpl-0599' ORDER BY document_id") == [
        ("doc_1", 3, 7, "[1,3]", 1, 5, "ten_a"),
        ("doc_2", 1, 7, "[2]", 0, 5, "ten_a"),
    ]
    await move(database, "0007", down=True)
    assert await rows(database, "SELECT count(*) FROM answers") == [(601,)]


async def test_who_forced_a_rollout_is_one_of_a_list_and_alone_again(database: Database) -> None:
    await move(database, "0031")
    assistant = {"id": "asst_1", "created_at": 1, "tenant_id": "ten_a", "name": "desk"}
    await insert(database, "assistants", assistant)
    forced = {"reason": "so", "key": "key_1", "releases": [2], "at": 5}
    rollout = {"created_at": 1, "tenant_id": "ten_a", "assistant_id": "asst_1", "stages": "[]"}
    await insert(database, "rollouts", {**rollout, "id": "rollout_1", "revision": 1, "forced": None})
    await insert(database, "rollouts", {**rollout, "id": "rollout_2", "revision": 2, "forced": json.dumps(forced)})

    async def read() -> list[Any]:
        found = await rows(database, "SELECT forced FROM rollouts ORDER BY revision")
        return [None if one is None else json.loads(one) for (one,) in found]

    await move(database, "0032")
    assert await read() == [None, [forced]]
    await move(database, "0031", down=True)
    assert await read() == [None, forced]


async def test_what_a_base_asks_of_trainings_comes_unknown_and_goes_again(database: Database) -> None:
    await move(database, "0034")
    base = {"digest": "d", "name": "base", "chat_template_digest": "t", "folds_system": False, "served_at": 1.0}
    await insert(database, "base_models", base)
    before = await rows(database, "SELECT * FROM base_models")
    await move(database, "0035")
    assert await rows(database, "SELECT name, training FROM base_models") == [("base", None)]
    async with database.read() as session:
        announced = await read_announced_base(session)
    assert announced == ServedBaseModel("base", "", "d", chat_template_digest="t")
    await move(database, "0034", down=True)
    assert await rows(database, "SELECT * FROM base_models") == before


async def test_a_database_from_before_believes_the_time_of_its_newest_row(database: Database) -> None:
    await move(database, "0036")
    await insert(database, "tenants", {"id": "ten_b", "name": "b", "created_at": 1_700_000_000})
    await move(database, "0038")
    assert await rows(database, "SELECT * FROM believed_clock") == []
    await move(database, "head")
    assert await rows(database, "SELECT id, believed FROM believed_clock") == [("workers", 1_700_000_000.0)]
    assert await BelievedClock(database).follow() == 0
    async with database.begin() as session:
        await session.execute(text("UPDATE believed_clock SET believed = 7"))
    await move(database, "0038", down=True)
    await move(database, "head")
    assert await rows(database, "SELECT id, believed FROM believed_clock") == [("workers", 7.0)]


async def test_another_programs_table_is_no_hindrance_to_an_upgrade(database: Database) -> None:
    await move(database, "0038")
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE orders (created_at TIMESTAMP)"))
        await session.execute(text("INSERT INTO orders VALUES ('2026-01-01 00:00:00')"))
    await move(database, "head")
    assert await rows(database, "SELECT believed FROM believed_clock") == [(1.0,)]


async def test_a_row_of_the_future_is_no_reason_to_believe_it(database: Database) -> None:
    await insert(database, "tenants", {"id": "ten_b", "name": "b", "created_at": 2_000_000_000})
    now = time.time()
    await move(database, "head")
    ((believed,),) = await rows(database, "SELECT believed FROM believed_clock")
    assert now <= believed <= time.time()


async def test_a_new_database_believes_its_first_worker(empty_database: str) -> None:
    async with open_database(empty_database) as opened:
        await move(opened, "head")
        assert await rows(opened, "SELECT * FROM believed_clock") == []
