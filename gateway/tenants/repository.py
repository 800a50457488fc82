from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Page, Repository, cut_slices, read_page
from gateway.errors import BadRequest
from gateway.pages import PageRequest
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["ByteSums", "KeyRepository", "find_key", "find_tenant", "list_tenant_page", "sum_bytes"]


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


async def list_tenant_page(session: AsyncSession, page: PageRequest) -> Page[TenantRow]:
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


def sum_bytes(column: InstrumentedAttribute[int], where: ColumnElement[bool] | None = None) -> Select[str, int]:
    """Return the statement that sums a column of a table that tenants own, for each of `tenants` that has rows in it.

    It is of those that are given to it, since an administrator may ask about any.
    """
    owner: InstrumentedAttribute[str] = column.class_.tenant_id
    query = select(owner, func.sum(column)).where(owner.in_(bindparam("tenants", expanding=True))).group_by(owner)
    return query if where is None else query.where(where)


class ByteSums:
    """Sums what tenants store, all kinds by one statement, which is made once: every upload asks it twice."""

    def __init__(self, kinds: Mapping[str, Select[str, int]]) -> None:
        sums = [query.add_columns(literal(kind)) for kind, query in kinds.items()]
        self._query = union_all(*sums) if sums else None

    async def list_sums(self, session: AsyncSession, tenants: Collection[str]) -> list[tuple[str, str, int]]:
        """Return kind, tenant and bytes; a kind of which a tenant has no row is left out."""
        if self._query is None:
            return []
        sums: list[tuple[str, str, int]] = []
        for some in cut_slices(tenants):
            rows = await session.execute(self._query, {"tenants": some})
            sums += [(kind, tenant, int(size or 0)) for tenant, size, kind in rows]
        return sums
