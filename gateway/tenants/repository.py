from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Page, Repository, read_page
from gateway.errors import BadRequest
from gateway.pages import PageRequest
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
