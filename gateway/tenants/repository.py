from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Page, Repository
from gateway.errors import BadRequest
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["KeyRepository", "find_key", "find_tenant", "page_tenants"]


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


async def page_tenants(session: AsyncSession, *, limit: int, after: str | None) -> Page[TenantRow]:
    """Return one page of all tenants, oldest first, for an administrator; `after` is an id.

    Raises:
        BadRequest: There is no tenant with that id.
    """
    key = tuple_(TenantRow.created_at, TenantRow.id)
    query = select(TenantRow).order_by(TenantRow.created_at, TenantRow.id).limit(limit + 1)
    if after is not None:
        edge = await session.get(TenantRow, after)
        if edge is None:
            raise BadRequest(f"The cursor {after!r} is no tenant.", param="after")
        query = query.where(key > tuple_(edge.created_at, edge.id))
    rows = (await session.scalars(query)).all()
    return Page(rows[:limit], len(rows) > limit)
