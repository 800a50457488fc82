"""Tenants and their keys."""

import time
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

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
from gateway.db import lock
from gateway.errors import BadRequest, Conflict, Denied, NotFound
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.authenticator import Authenticator, Principal, Scope, digest_key, new_key
from gateway.tenants.repository import KeyRepository, find_tenant, list_tenant_page
from gateway.tenants.storage import TenantStorage
from gateway.tenants.tables import KeyRow, TenantRow

__all__ = ["TenantService", "ensure_admin"]

_GIVEN_KEY = "admin (given)"
_NO_HINT = "…"
_LEAST_LENGTH = 32


class TenantService:
    """Tenants and keys, for an administrator or a tenant's own `manage` key."""

    def __init__(
        self, session: AsyncSession, principal: Principal, authenticator: Authenticator, storage: TenantStorage
    ) -> None:
        self._session = session
        self._storage = storage
        self._principal = principal
        self._authenticator = authenticator

    async def create(self, request: TenantCreate) -> Tenant:
        if await find_tenant(self._session, request.name) is not None:
            raise Conflict(f"A tenant named {request.name!r} exists already. Choose another name.", param="name")
        row = TenantRow(
            id=new_id("ten_"),
            name=request.name,
            created_at=int(time.time()),
            keeps_cited_text=request.keeps_cited_text,
        )
        self._session.add(row)
        return _tenant_schema(row)

    async def modify(self, name_or_id: str, request: TenantUpdate) -> Tenant:
        """Change what the request names."""
        row = await self._tenant(name_or_id)
        if request.keeps_cited_text is not None:
            row.keeps_cited_text = request.keeps_cited_text
        return _tenant_schema(row)

    async def list(self, request: PageRequest) -> TenantList:
        page = await list_tenant_page(self._session, request)
        return TenantList.of([_tenant_schema(row) for row in page.rows], page)

    async def measure_storage(self, tenant: str | None) -> StorageUse:
        """Return what a tenant stores: the key's own, or another one's for an administrator."""
        owner = await self._tenant(tenant)
        kinds = (await self._storage.measure(self._session, [owner.id]))[owner.id]
        limit = self._storage.limit or None
        return StorageUse(tenant=owner.name, bytes=sum(kinds.values()), limit=limit, kinds=kinds)

    async def create_key(self, request: KeyCreate) -> CreatedKey:
        tenant = await self._tenant(request.tenant)
        beyond = set(request.scopes) - set(self._principal.scopes)
        if beyond and not self._principal.may(Scope.ADMIN):
            raise Denied(f"This key can't give the scope {', '.join(sorted(beyond))}, which it doesn't have itself.")
        key, row = make_key(request.name, [scope.value for scope in dict.fromkeys(request.scopes)])
        KeyRepository(self._session, tenant.id).add(row)
        return CreatedKey(**_key_schema(row, tenant.name).model_dump(), key=key)

    async def list_keys(self, tenant: str | None, request: PageRequest) -> KeyList:
        owner = await self._tenant(tenant)
        page = await KeyRepository(self._session, owner.id).list_page(**asdict(request))
        return KeyList.of([_key_schema(row, owner.name) for row in page.rows], page)

    async def revoke_key(self, id: str, tenant: str | None) -> Key:
        """Revoke a key; it stops working before the answer to this call."""
        owner = await self._tenant(tenant)
        row = await KeyRepository(self._session, owner.id).hold(id)
        row.revoked_at = row.revoked_at or int(time.time())
        await self._session.commit()  # first the record, then the cache: in between the key can only be looked up anew
        self._authenticator.evict(row.digest)
        return _key_schema(row, owner.name)

    async def _tenant(self, name_or_id: str | None) -> TenantRow:
        reference = name_or_id or self._principal.tenant
        tenant = await find_tenant(self._session, reference)
        own = tenant is not None and tenant.id == self._principal.tenant
        if tenant is None or not (own or self._principal.may(Scope.ADMIN)):
            raise NotFound(
                f"No tenant {reference!r} exists. An admin key lists them with GET /api/tenants.", param="tenant"
            )
        return tenant


async def ensure_admin(session: AsyncSession, admin_key: str | None) -> str | None:
    """Make sure that a key with scope `admin` exists.

    Args:
        session: A unit of work.
        admin_key: A key picked by the operator (`BRAID_ADMIN_KEY`), registered when it isn't yet. It takes the place of
            one that was picked before, which is revoked.

    Returns:
        A newly made key to print once, or None when one existed or was chosen.

    Raises:
        BadRequest: The chosen key is too short, or was revoked.
    """
    await lock(session, "administrator")  # of processes that start at the same time one makes it
    tenant = await find_tenant(session, "default")
    if tenant is None:
        tenant = TenantRow(id=new_id("ten_"), name="default", created_at=int(time.time()), keeps_cited_text=False)
        session.add(tenant)
        await session.flush()
    keys = KeyRepository(session, tenant.id)
    if admin_key is not None:
        await _register(keys, admin_key)
        return None
    if any(Scope.ADMIN in row.scopes and row.revoked_at is None for row in await keys.list_all()):
        return None
    key, row = make_key("admin", [scope.value for scope in Scope])
    keys.add(row)
    return key


async def _register(keys: KeyRepository, admin_key: str) -> None:
    if len(admin_key) < _LEAST_LENGTH:
        raise BadRequest(
            f"BRAID_ADMIN_KEY is shorter than {_LEAST_LENGTH} characters. Choose a longer random secret.",
            param="admin_key",
        )
    present = await keys.find_one(KeyRow.digest == digest_key(admin_key))
    if present is not None and present.revoked_at is not None:
        raise BadRequest(
            "BRAID_ADMIN_KEY is a key that was revoked. Choose a new secret, or leave the setting out.",
            param="admin_key",
        )
    for row in await keys.list_all():
        if row.name == _GIVEN_KEY:
            row.hint = _NO_HINT  # earlier versions kept its end
            if row.revoked_at is None and row is not present:
                row.revoked_at = int(time.time())
    if present is None:
        keys.add(make_key(_GIVEN_KEY, [scope.value for scope in Scope], admin_key)[1])


def make_key(name: str, scopes: list[str], key: str | None = None) -> tuple[str, KeyRow]:
    was_given, key = key is not None, key or new_key()
    # Nothing is shown of a key that somebody chose: any part of it may be a word.
    hint = _NO_HINT if was_given else f"{key[:9]}…{key[-4:]}"
    row = KeyRow(
        id=new_id("key_"), name=name, digest=digest_key(key), hint=hint, scopes=scopes, created_at=int(time.time())
    )
    return key, row


def _tenant_schema(row: TenantRow) -> Tenant:
    return Tenant(id=row.id, name=row.name, created_at=row.created_at, keeps_cited_text=row.keeps_cited_text)


def _key_schema(row: KeyRow, tenant: str) -> Key:
    return Key(
        id=row.id,
        tenant=tenant,
        name=row.name,
        hint=row.hint,
        scopes=row.scopes,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
