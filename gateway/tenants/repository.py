from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["KeyRepository", "all_tenants", "find_key", "find_tenant"]


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


async def all_tenants(session: AsyncSession) -> list[TenantRow]:
    """List every tenant for an administrator."""
    return list((await session.scalars(select(TenantRow).order_by(TenantRow.created_at, TenantRow.id))).all())
