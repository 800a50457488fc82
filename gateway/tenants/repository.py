from collections.abc import Collection

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Page, Repository, read_page, slices
from gateway.errors import BadRequest
from gateway.pages import PageRequest
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["KeyRepository", "find_key", "find_tenant", "page_tenants", "sum_by_tenant"]


class KeyRepository(Repository[KeyRow]):
    table = KeyRow
    noun = "key"


async def find_key(session: AsyncSession, digest: str) -> tuple[KeyRow, TenantRow] | None:
    """Find a key that isn't revoked by its digest: the one question that is asked before the tenant is known."""
    query = select(KeyRow, TenantRow).join(TenantRow, KeyRow.tenant_id == TenantRow.id)
    row = (await session.execute(query.where(KeyRow.digest == digest, KeyRow.revoked_at.is_(None)))).one_or_none()
    return None if row is None else (row[0], row[1])


async def find_tenant(session: AsyncSession, name_or_id: str) -> TenantRow | None:
    """Find a tenant for an administrator."""
    query = select(TenantRow).where((TenantRow.name == name_or_id) | (TenantRow.id == name_or_id))
    return (await session.scalars(query)).one_or_none()


async def page_tenants(session: AsyncSession, page: PageRequest) -> Page[TenantRow]:
    """Return one page of all tenants, for an administrator; its cursors are ids.

    Raises:
        BadRequest: There is no tenant with such an id.
    """
    edges: dict[str, tuple[int, str]] = {}
    for name, cursor in (("after", page.after), ("before", page.before)):
        if cursor is not None:
            edge = await session.get(TenantRow, cursor)
            if edge is None:
                raise BadRequest(f"The cursor {cursor!r} is no tenant.", param=name)
            edges[name] = (edge.created_at, edge.id)
    return await read_page(
        session, select(TenantRow), (TenantRow.created_at, TenantRow.id), edges, page.limit, page.order
    )


async def sum_by_tenant(
    session: AsyncSession,
    tenants: Collection[str],
    column: InstrumentedAttribute[int],
    where: ColumnElement[bool] | None = None,
) -> dict[str, int]:
    """Return the sum of a column of a table that tenants own, for each of some tenants that has rows in it."""
    owner = column.class_.tenant_id
    sums: dict[str, int] = {}
    for some in slices(tenants):
        query = select(owner, func.sum(column)).where(owner.in_(some)).group_by(owner)
        rows = await session.execute(query if where is None else query.where(where))
        sums.update({tenant: int(size or 0) for tenant, size in rows})
    return sums
