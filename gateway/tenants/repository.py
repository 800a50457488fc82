from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from gateway.db import Page, Repository, read_page, slices
from gateway.errors import BadRequest
from gateway.pages import PageRequest
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["ByteColumn", "ByteSums", "KeyRepository", "find_key", "find_tenant", "page_tenants"]


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


class ByteColumn:
    """A column of a table that tenants own with the bytes that each row stores, and the rows that count."""

    def __init__(self, column: InstrumentedAttribute[int], where: ColumnElement[bool] | None = None) -> None:
        owner: InstrumentedAttribute[str] = column.class_.tenant_id
        query = select(owner, func.sum(column)).where(owner.in_(bindparam("tenants", expanding=True))).group_by(owner)
        self._query = query if where is None else query.where(where)

    def sum_up(self, kind: str) -> Select[str, int, str]:
        """Return the statement for the sums of the tenants that are given to it, those without a row left out."""
        return self._query.add_columns(literal(kind))


class ByteSums:
    """Sums what tenants store, all kinds by one statement, which is made once: every upload asks it twice.

    A sum is of the tenants that are asked about, of whom an administrator may ask about any.
    """

    def __init__(self, kinds: Mapping[str, ByteColumn]) -> None:
        self._query = union_all(*(column.sum_up(kind) for kind, column in kinds.items())) if kinds else None

    async def list_sums(self, session: AsyncSession, tenants: Collection[str]) -> list[tuple[str, str, int]]:
        """Return kind, tenant and bytes; a kind of which a tenant has no row is left out."""
        if self._query is None:
            return []
        sums: list[tuple[str, str, int]] = []
        for some in slices(tenants):
            rows = await session.execute(self._query, {"tenants": some})
            sums += [(kind, tenant, int(size or 0)) for tenant, size, kind in rows]
        return sums
