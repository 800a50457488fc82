from typing import Annotated

from fastapi import APIRouter, Depends, Query

from gateway.administration.schemas import (
    CreatedKey,
    Key,
    KeyCreate,
    KeyList,
    StorageUse,
    Tenant,
    TenantCreate,
    TenantList,
    TenantUpdate,
)
from gateway.administration.service import TenantService
from gateway.web.dependencies import AdminKey, CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["tenants"], responses=declare_errors(404, 409))


def _by_admin_key(session: WriteSession, principal: AdminKey, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator, state.storage)


def _by_manage_key(session: WriteSession, principal: ManageKey, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator, state.storage)


def _read_by_admin_key(session: ReadSession, principal: AdminKey, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator, state.storage)


def _read_by_manage_key(session: ReadSession, principal: ManageKey, state: CurrentState) -> TenantService:
    return TenantService(session, principal, state.authenticator, state.storage)


TenantsByAdminKey = Annotated[TenantService, Depends(_by_admin_key)]
TenantsByManageKey = Annotated[TenantService, Depends(_by_manage_key)]
TenantsReadByAdminKey = Annotated[TenantService, Depends(_read_by_admin_key)]
TenantsReadByManageKey = Annotated[TenantService, Depends(_read_by_manage_key)]
OtherTenant = Annotated[str | None, Query(description="Another tenant's name or id, for an admin key.")]


@router.post("/tenants", status_code=201)
async def create_tenant(request: TenantCreate, tenants: TenantsByAdminKey) -> Tenant:
    return await tenants.create(request)


@router.get("/tenants")
async def list_tenants(tenants: TenantsReadByAdminKey, page: OwnPage) -> TenantList:
    return await tenants.list(page)


@router.patch("/tenants/{tenant}")
async def modify_tenant(tenant: str, request: TenantUpdate, tenants: TenantsByAdminKey) -> Tenant:
    return await tenants.modify(tenant, request)


@router.get("/storage")
async def measure_storage(tenants: TenantsReadByManageKey, tenant: OtherTenant = None) -> StorageUse:
    """Return the bytes that the key's tenant stores, by kind, and the most that it may."""
    return await tenants.measure_storage(tenant)


@router.post("/keys", status_code=201)
async def create_key(request: KeyCreate, tenants: TenantsByManageKey) -> CreatedKey:
    return await tenants.create_key(request)


@router.get("/keys")
async def list_keys(tenants: TenantsReadByManageKey, page: OwnPage, tenant: OtherTenant = None) -> KeyList:
    return await tenants.list_keys(tenant, page)


@router.delete("/keys/{key_id}")
async def revoke_key(key_id: str, tenants: TenantsByManageKey, tenant: OtherTenant = None) -> Key:
    return await tenants.revoke_key(key_id, tenant)
