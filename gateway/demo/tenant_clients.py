"""The demo's tenants as the gateway knows them: a tenant, a key, and a client that uses it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from gateway.client import Client, GatewayError
from gateway.demo.tenants import DemoTenant

__all__ = ["TenantClient", "make_tenant", "open_tenant_clients"]


@dataclass(frozen=True, slots=True)
class TenantClient:
    """A tenant of the demo, with a client that acts for it."""

    tenant: DemoTenant
    id: str
    client: Client

    @property
    def name(self) -> str:
        return self.tenant.name

    @property
    def assistant(self) -> str:
        return f"{self.tenant.name}-assistant"


@asynccontextmanager
async def open_tenant_clients(admin: Client, tenants: Sequence[DemoTenant]) -> AsyncGenerator[list[TenantClient]]:
    """Make tenants that aren't there yet, and a new key with the scopes `chat` and `manage` for each."""
    async with AsyncExitStack() as stack:
        clients: list[TenantClient] = []
        for tenant in tenants:
            id = await make_tenant(admin, tenant.name)
            key = await admin.post("/api/keys", {"tenant": id, "name": "demo", "scopes": ["chat", "manage"]})
            client = await stack.enter_async_context(Client(admin.url, key["key"], timeout=600))
            clients.append(TenantClient(tenant, id, client))
        yield clients


async def make_tenant(admin: Client, name: str) -> str:
    """Make a tenant, or find the one of this name; returns its id."""
    try:
        return (await admin.post("/api/tenants", {"name": name}))["id"]
    except GatewayError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
    tenants = (await admin.get("/api/tenants"))["data"]
    return next(tenant["id"] for tenant in tenants if tenant["name"] == name)
