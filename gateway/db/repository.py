"""The one place where a statement is limited to a tenant's rows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, CursorResult, Select, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ExecutableOption

from gateway.db.base import OwnedRow
from gateway.errors import BadRequest, NotFound
from gateway.ids import seconds_of

__all__ = ["Page", "Repository", "cut_slices", "delete_before", "delete_listed", "read_page", "take_fitting"]

Row = TypeVar("Row", bound=OwnedRow)
Item = TypeVar("Item")

_IDS_PER_STATEMENT = 1_000
"""Databases take a bounded number of parameters in a statement: PostgreSQL 65,535."""


def cut_slices(ids: Collection[str]) -> Iterator[Sequence[str]]:
    """Cut a list of any length into such as a statement's `IN` takes."""
    ordered = list(ids)
    for start in range(0, len(ordered), _IDS_PER_STATEMENT):
        yield ordered[start : start + _IDS_PER_STATEMENT]


def take_fitting(sizes: Iterable[tuple[str, int]], most: int) -> list[str]:
    """Return the first ids whose sizes are at most so much in all."""
    ids: list[str] = []
    for id, size in sizes:
        most -= size
        if most < 0:
            break
        ids.append(id)
    return ids


class Page(Generic[Item]):
    """One page of rows; `has_more` tells whether another follows."""

    def __init__(self, rows: Sequence[Item], has_more: bool) -> None:
        self.rows = rows
        self.has_more = has_more


async def read_page(
    session: AsyncSession,
    query: Select[Any],
    columns: Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]],
    edges: Mapping[str, tuple[int, str]],
    limit: int,
    order: str,
) -> Page[Any]:
    """Read one page of a query's rows.

    Args:
        session: Of the query.
        query: Selects all rows, in no order.
        columns: The rows' time and id, by which they are ordered.
        edges: The time and id of the row that the page comes `after`, and of the one that it comes `before`.
        limit: The most rows of the page.
        order: `asc` or `desc`. A page that only comes before a row is the nearest to it, in this order.
    """
    key, ascending = tuple_(*columns), order == "asc"
    for name, edge in edges.items():
        query = query.where(key > tuple_(*edge) if ascending == (name == "after") else key < tuple_(*edge))
    backward = "before" in edges and "after" not in edges
    forward_order = ascending != backward
    query = query.order_by(*(c.asc() if forward_order else c.desc() for c in columns)).limit(limit + 1)
    rows = list((await session.scalars(query)).all())
    rows, has_more = rows[:limit], len(rows) > limit
    return Page(rows[::-1] if backward else rows, has_more)


async def delete_before(session: AsyncSession, time: InstrumentedAttribute[Any], before: int, limit: int) -> int:
    """Delete at most `limit` rows of all tenants whose `time` is before a Unix time, and return the number."""
    table = cast("type[OwnedRow]", time.class_)
    return await delete_listed(session, table, select(table.id).where(time < before).order_by(time).limit(limit))


async def delete_listed(session: AsyncSession, table: type[OwnedRow], ids: Select[str] | Collection[str]) -> int:
    """Delete rows, of whatever tenants, by their ids or a query for those, and return the number."""
    statement = delete(table).where(table.id.in_(ids)).execution_options(synchronize_session=False)
    return cast(CursorResult[Any], await session.execute(statement)).rowcount


class Repository(Generic[Row]):
    """Reads and writes one table for one tenant; another tenant's rows don't exist here.

    Subclasses set `table` and `noun` (how an error names a row: "file"). They make no statements of their own but begin
    each at `select`, `update_rows`, `delete_rows` or `add_rows`, so that none can be without the tenant.
    """

    table: ClassVar[type[Any]]
    noun: ClassVar[str]

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        if not tenant:
            raise ValueError("a repository needs a tenant; an empty one must never mean all of them")
        self.session = session
        self.tenant = tenant

    def select(self, *where: ColumnElement[bool]) -> Select[Row]:
        """Start a query on this tenant's rows."""
        return select(self.table).where(self.table.tenant_id == self.tenant, *where)

    def select_for_update(self, *where: ColumnElement[bool]) -> Select[Row]:
        """Start a query on rows as they are now, which nobody else can change until the unit of work ends.

        SQLite, which has one writer at a time, needs no lock; PostgreSQL locks the rows.
        """
        return self.select(*where).with_for_update().execution_options(populate_existing=True)

    async def find(self, id: str) -> Row | None:
        return await self.find_one(self.table.id == id)

    async def get(self, id: str, *, param: str = "id") -> Row:
        """Return the row, or raise `NotFound` (also for another tenant's id)."""
        row = await self.find(id)
        if row is None:
            raise NotFound(f"No {self.noun} with id {id!r} exists. List yours to see their ids.", param=param)
        return row

    async def find_one(self, *where: ColumnElement[bool]) -> Row | None:
        return (await self.session.scalars(self.select(*where))).one_or_none()

    async def lock(self, id: str) -> Row | None:
        """Find a row as it is now, and keep others from changing it until the unit of work ends."""
        return await self.lock_one(self.table.id == id)

    async def lock_one(self, *where: ColumnElement[bool]) -> Row | None:
        """Find the one row that `where` selects, as `lock` does."""
        return (await self.session.scalars(self.select_for_update(*where))).one_or_none()

    async def hold(self, id: str, *, param: str = "id") -> Row:
        """Return the row as `lock` does, or raise `NotFound`: so begins what changes or deletes one that was there."""
        return await self.lock(id) or await self.get(id, param=param)

    async def count_rows(self, *where: ColumnElement[bool]) -> int:
        return await self.session.scalar(self.select(*where).with_only_columns(func.count())) or 0

    async def list_all(self, *where: ColumnElement[bool]) -> Sequence[Row]:
        return (await self.session.scalars(self.select(*where).order_by(self.table.created_at, self.table.id))).all()

    async def list_page(
        self,
        *where: ColumnElement[bool],
        limit: int = 20,
        order: str = "desc",
        after: str | None = None,
        before: str | None = None,
        options: Sequence[ExecutableOption] = (),
    ) -> Page[Row]:
        """Return one page by OpenAI's cursors: `after` and `before` are ids, newest first unless `order` is `asc`.

        They may be of rows that were deleted: who walks a list and deletes what it has seen goes on behind it.
        `options` say what isn't loaded of the rows.
        """
        query = self.select(*where).options(*options)
        edges: dict[str, tuple[int, str]] = {}
        for name, cursor in (("after", after), ("before", before)):
            if cursor is not None:
                edges[name] = await self._find_edge(cursor, name)
        return await read_page(self.session, query, (self.table.created_at, self.table.id), edges, limit, order)

    async def _find_edge(self, cursor: str, name: str) -> tuple[int, str]:
        """Return the place of a row in the order of a list, by its id; also that of one which isn't there anymore."""
        mine = select(self.table.created_at, self.table.id).where(self.table.tenant_id == self.tenant)
        row = (await self.session.execute(mine.where(self.table.id == cursor))).one_or_none()
        if row is not None:
            return row[0], row[1]
        other = (await self.session.execute(mine.limit(1))).one_or_none()
        created_at = seconds_of(cursor, cursor if other is None else other[1])
        if created_at is None:
            raise BadRequest(f"The cursor {cursor!r} is no {self.noun} of yours.", param=name)
        return created_at, cursor

    def add(self, row: Row) -> Row:
        """Add a row of this tenant, whatever tenant the caller gave."""
        row.tenant_id = self.tenant
        self.session.add(row)
        return row

    async def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of this tenant by their values, all by the same names, in one statement."""
        # Into the table, and not the class: the ORM goes over each row once more, for objects that nobody asked for.
        statement = insert(self.table.__table__)  # pyright: ignore[reportArgumentType]
        await self.session.execute(statement, [{**row, "tenant_id": self.tenant} for row in rows])

    async def update_rows(self, *where: ColumnElement[bool], **values: Any) -> int:
        """Change those of this tenant's rows that `where` selects, and return their number.

        Rows that the session has loaded already stay as they are.
        """
        statement = update(self.table).where(self.table.tenant_id == self.tenant, *where).values(**values)
        result = await self.session.execute(statement.execution_options(synchronize_session=False))
        return cast(CursorResult[Any], result).rowcount

    async def delete_rows(self, *where: ColumnElement[bool]) -> None:
        """Delete those of this tenant's rows that `where` selects."""
        await self.session.execute(delete(self.table).where(self.table.tenant_id == self.tenant, *where))

    async def delete(self, row: Row) -> None:
        await self.session.delete(row)
