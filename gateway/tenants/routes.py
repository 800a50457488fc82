from typing import Annotated

from fastapi import APIRouter, Depends, Query

from gateway.auth import Admin, CurrentState, Manager, Writing
from gateway.tenants.schemas import KeyList, KeyMade, KeyRequest, KeyShown, TenantList, TenantRequest, TenantShown
from gateway.tenants.service import TenantService

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["tenants"])


def _for_admin(session: Writing, principal: Admin, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator)


def _for_manager(session: Writing, principal: Manager, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator)


ForAdmin = Annotated[TenantService, Depends(_for_admin)]
ForManager = Annotated[TenantService, Depends(_for_manager)]
Tenant = Annotated[str | None, Query(description="Another tenant's name or id, for an admin key.")]


@router.post("/tenants", status_code=201)
async def create_tenant(request: TenantRequest, tenants: ForAdmin) -> TenantShown:
    return await tenants.create(request.name)


@router.get("/tenants")
async def list_tenants(tenants: ForAdmin) -> TenantList:
    return TenantList(data=await tenants.all())


@router.post("/keys", status_code=201)
async def create_key(request: KeyRequest, tenants: ForManager) -> KeyMade:
    return await tenants.create_key(request)


@router.get("/keys")
async def list_keys(tenants: ForManager, tenant: Tenant = None) -> KeyList:
    return KeyList(data=await tenants.list_keys(tenant))


@router.delete("/keys/{key_id}")
async def revoke_key(key_id: str, tenants: ForManager, tenant: Tenant = None) -> KeyShown:
    return await tenants.revoke_key(key_id, tenant)
