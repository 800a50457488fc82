from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from gateway.db import Database, Repository, open_database
from gateway.errors import BadRequest, NotFound
from gateway.migrations import SchemaTooNew, migrate
from gateway.migrations.tables import Base, FileRow, TenantRow
from tests.gateway.conftest import on_both_databases


class Files(Repository[FileRow]):
    table = FileRow
    noun = "file"


pytestmark = on_both_databases


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        async with opened.begin() as session:
            session.add_all(TenantRow(id=name, name=name, created_at=1) for name in ("a", "b"))
        yield opened


def row(id: str, at: int) -> FileRow:
    return FileRow(id=id, created_at=at, filename="f", purpose="assistants", digest="d", bytes=1)


async def test_migrations_make_what_the_tables_say(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_does_nothing(database: Database) -> None:
    await migrate(database)


async def test_a_newer_schema_is_refused(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        await migrate(database)


async def test_another_tenants_row_does_not_exist(database: Database) -> None:
    async with database.begin() as session:
        Files(session, "a").add(row("f1", 1))
    async with database.begin() as session:
        assert await Files(session, "b").find("f1") is None
        with pytest.raises(NotFound):
            await Files(session, "b").get("f1")
        assert await Files(session, "a").find("f1") is not None


async def test_an_added_row_gets_the_repositorys_tenant_whatever_it_said(database: Database) -> None:
    async with database.begin() as session:
        made = row("f1", 1)
        made.tenant_id = "b"
        Files(session, "a").add(made)
    async with database.read() as session:
        assert await Files(session, "b").list_all() == []


async def test_a_row_is_locked_and_counted_as_it_is_now_and_for_its_tenant_only(database: Database) -> None:
    async with database.begin() as session:
        Files(session, "a").add(row("f1", 1))
    async with database.begin() as session:
        files = Files(session, "a")
        loaded = await files.get("f1")
        await files.update_rows(filename="g")
        locked = await files.lock("f1")
        assert locked is loaded
        assert loaded.filename == "g"
        assert await Files(session, "b").lock("f1") is None
        counts = [await files.count_rows(), await files.count_rows(FileRow.filename == "f")]
        assert [*counts, await Files(session, "b").count_rows()] == [1, 0, 0]


async def test_rows_are_added_changed_and_deleted_for_one_tenant_only(database: Database) -> None:
    async with database.begin() as session:
        Files(session, "b").add(row("f2", 1))
        values = {"created_at": 1, "filename": "f", "purpose": "assistants", "digest": "d", "bytes": 1}
        await Files(session, "a").add_rows([{**values, "id": "f1", "tenant_id": "b"}])
    async with database.begin() as session:
        assert await Files(session, "a").update_rows(filename="g") == 1
        assert await Files(session, "a").update_rows(FileRow.id == "f2", filename="g") == 0
    async with database.read() as session:
        assert [(one.id, one.filename) for one in await Files(session, "a").list_all()] == [("f1", "g")]
        assert [(one.id, one.filename) for one in await Files(session, "b").list_all()] == [("f2", "f")]
    async with database.begin() as session:
        await Files(session, "a").delete_rows()
    async with database.read() as session:
        assert await Files(session, "a").list_all() == []
        assert [one.id for one in await Files(session, "b").list_all()] == ["f2"]


async def test_no_tenant_is_an_error_and_never_all(database: Database) -> None:
    async with database.read() as session:
        with pytest.raises(ValueError, match="tenant"):
            Files(session, "")


async def test_pages_follow_each_other_in_both_orders(database: Database) -> None:
    async with database.begin() as session:
        for n in range(5):
            Files(session, "a").add(row(f"f{n}", 10 + n // 2))
    async with database.read() as session:
        files = Files(session, "a")
        for order, expected in (("desc", ["f4", "f3", "f2", "f1", "f0"]), ("asc", ["f0", "f1", "f2", "f3", "f4"])):
            seen: list[str] = []
            more, after = True, None
            while more:
                page = await files.list_page(limit=2, order=order, after=after)
                seen += [r.id for r in page.rows]
                more, after = page.has_more, seen[-1]
            assert seen == expected
        before = await files.list_page(limit=2, before="f1")
        assert [r.id for r in before.rows] == ["f3", "f2"]


async def test_a_foreign_cursor_is_refused(database: Database) -> None:
    async with database.begin() as session:
        Files(session, "b").add(row("f1", 1))
        with pytest.raises(BadRequest):
            await Files(session, "a").list_page(after="f1")


async def test_an_error_rolls_the_unit_of_work_back(database: Database) -> None:
    async def fail() -> None:
        async with database.begin() as session:
            Files(session, "a").add(row("f1", 1))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.read() as session:
        assert await Files(session, "a").list_all() == []


async def test_an_error_does_not_repeat_the_values_of_its_statement(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with database.begin() as session:
            session.add(TenantRow(id="a", name="a secret name", created_at=1))
    assert "tenants" in str(caught.value)
    assert "a secret name" not in str(caught.value)


async def test_a_page_is_read_from_its_index(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a small table without an index")
    async with database.engine.connect() as connection:
        for table in (table for table in Base.metadata.tables.values() if "tenant_id" in table.c):
            query = f"SELECT * FROM {table.name} WHERE tenant_id = 'a' ORDER BY created_at DESC, id DESC LIMIT 21"
            plan = " ".join(str(row) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
            assert f"ix_{table.name}_pages" in plan
            assert "TEMP B-TREE" not in plan  # nothing is sorted
