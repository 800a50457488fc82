"""The name and the settings of a tenant, for the rooms that work for it."""

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.tenants.repository import find_tenant

__all__ = ["find_tenant_name", "keeps_cited_text"]


async def find_tenant_name(session: AsyncSession, tenant: str) -> str | None:
    """Return the name of a tenant by its id; None where there is none."""
    row = await find_tenant(session, tenant)
    return None if row is None else row.name


async def keeps_cited_text(session: AsyncSession, tenant: str) -> bool:
    """Tell whether citations in records of a tenant's answers stay readable when their document is deleted."""
    row = await find_tenant(session, tenant)
    return row is not None and row.keeps_cited_text
