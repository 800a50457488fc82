"""What several processes do to one database at the same time, and a server's faults: on SQLite and on PostgreSQL."""

import asyncio
import traceback
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from gateway.adapters.repository import find_served_names, load_manifests
from gateway.administration.service import ensure_admin
from gateway.db import open_database
from gateway.files.repository import FileRepository, select_referenced
from gateway.files.tables import FileRow
from gateway.migrations import migrate
from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import (
    POSTGRESQL,
    Gateway,
    from_nothing_on_both_databases,
    on_both_databases,
    running,
)

SECRET = "words of a customer"
on_postgresql = pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)


@from_nothing_on_both_databases
async def test_processes_that_start_at_once_make_one_schema_and_one_administrator(empty_database: str) -> None:
    async def start() -> str | None:
        async with open_database(empty_database) as database:
            await migrate(database)
            async with database.begin() as session:
                return await ensure_admin(session, None)

    keys = await asyncio.gather(*(start() for _ in range(4)))
    assert sum(key is not None for key in keys) == 1


@on_both_databases
@pytest.mark.case("gw-concurrent-writes")
async def test_puts_of_one_key_at_the_same_time_are_versions_one_after_the_other(
    gateway: Gateway, settings: Settings
) -> None:
    client = await gateway.tenant("kestrel")
    async with FakeRetriever(settings.retriever_socket):
        store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
        path = f"/api/vector_stores/{store}/documents/prices.md"
        answers = await asyncio.gather(*(client.put(path, content=f"It costs {n}.".encode()) for n in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4, 5, 6]


@on_both_databases
@pytest.mark.parametrize("rows", [[(SECRET, "b"), (SECRET, "c")], [(SECRET, None)], [(SECRET, "too long")]])
async def test_no_error_quotes_what_was_to_be_written(database_url: str, rows: list[tuple[str, str | None]]) -> None:
    insert = text("INSERT INTO t VALUES (:a, :b)")
    async with open_database(database_url) as database, database.read() as session:
        await session.execute(
            text("CREATE TEMPORARY TABLE t (a text UNIQUE, b text NOT NULL CONSTRAINT short CHECK (length(b) < 3))")
        )
        *first, last = [dict(zip("ab", row, strict=True)) for row in rows]
        for row in first:
            await session.execute(insert, row)
        with pytest.raises(IntegrityError) as caught:
            await session.execute(insert, last)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@on_postgresql
async def test_an_error_about_a_value_does_not_quote_it(database_url: str) -> None:
    async with open_database(database_url) as database, database.read() as session:
        with pytest.raises(DataError) as caught:
            await session.execute(text("SELECT CAST(:value AS integer)"), {"value": SECRET})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "22P02" in str(caught.value)


@on_both_databases
async def test_more_ids_than_a_statement_takes(gateway: Gateway) -> None:
    ids = [f"file-{number}" for number in range(70_000)]
    async with gateway.state.database.begin() as session:
        await FileRepository(session, "ten_a").delete_all(ids)
        assert await select_referenced(session, [FileRow.digest], ids) == set()
        assert await load_manifests(session, ids) == {}
        assert await find_served_names(session, ids) == set()


@on_postgresql
@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
async def test_a_value_that_cannot_be_stored_is_the_clients_fault(gateway: Gateway, name: str) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post("/v1/vector_stores", json={"name": name})
    assert answer.status_code == 400, answer.text


@on_postgresql
async def test_connections_that_the_server_has_cut_are_replaced(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.get("/v1/vector_stores")).status_code == 200
    async with gateway.state.database.begin() as session:
        await session.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )
    assert [(await client.get("/v1/vector_stores")).status_code for _ in range(3)] == [200] * 3


@on_both_databases
async def test_when_all_connections_are_in_use_a_request_is_told_to_come_again(settings: Settings) -> None:
    few = settings.model_copy(update={"database_connections": 2, "database_wait_seconds": 0.2})
    async with running(few) as gateway:
        client = await gateway.tenant("kestrel")
        assert (await client.get("/v1/vector_stores")).status_code == 200
        async with AsyncExitStack() as stack:
            for _ in range(2):
                session = await stack.enter_async_context(gateway.state.database.read())
                await session.execute(text("SELECT 1"))
            answer = await client.get("/v1/vector_stores")
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "database_unavailable"
            assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/v1/vector_stores")).status_code == 200
