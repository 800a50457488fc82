"""The demo's tenants as the gateway knows them: a tenant, a key, a client that uses it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.cli.client import Gateway, GatewayError
from gateway.cli.demo.tenants import Tenant
from gateway.cli.exits import Exit

__all__ = ["Account", "open_accounts"]


@dataclass(frozen=True)
class Account:
    """A tenant of the demo with what acts for it."""

    tenant: Tenant
    id: str
    gateway: Gateway

    @property
    def assistant(self) -> str:
        return f"{self.tenant.name}-assistant"


@asynccontextmanager
async def open_accounts(admin: Gateway, tenants: Sequence[Tenant]) -> AsyncGenerator[list[Account]]:
    """Make tenants that aren't there yet, and a new key with the scopes `chat` and `manage` for each."""
    async with AsyncExitStack() as stack:
        accounts: list[Account] = []
        for tenant in tenants:
            id = await _tenant(admin, tenant.name)
            made = await admin.post("/api/keys", {"tenant": id, "name": "demo", "scopes": ["chat", "manage"]})
            gateway = await stack.enter_async_context(Gateway(admin.url, made["key"], timeout=600))
            accounts.append(Account(tenant, id, gateway))
        yield accounts


async def _tenant(admin: Gateway, name: str) -> str:
    try:
        return (await admin.post("/api/tenants", {"name": name}))["id"]
    except GatewayError as error:
        if error.exit is not Exit.CONFLICT:
            raise
    tenants = (await admin.get("/api/tenants"))["data"]
    return next(tenant["id"] for tenant in tenants if tenant["name"] == name)
