from gateway.client import Client
from gateway.demo import DemoTenant
from gateway.demo.tenant_clients import open_tenant_clients
from tests.gateway.conftest import ADMIN_KEY, Gateway


async def test_each_tenant_has_a_key_of_its_own(gateway: Gateway, cast: list[DemoTenant]) -> None:
    async with Client(gateway.url, ADMIN_KEY) as admin, open_tenant_clients(admin, cast) as accounts:
        assert [account.name for account in accounts] == ["kestrel", "harbor"]
        assert accounts[0].client.key != accounts[1].client.key
        await accounts[0].client.post("/v1/vector_stores", {"name": "only kestrel's"})
        assert [row async for row in accounts[1].client.read_rows("/v1/vector_stores")] == []


async def test_tenants_of_an_earlier_demo_are_taken(gateway: Gateway, cast: list[DemoTenant]) -> None:
    async with Client(gateway.url, ADMIN_KEY) as admin:
        async with open_tenant_clients(admin, cast) as first:
            ids = [account.id for account in first]
        async with open_tenant_clients(admin, cast) as again:
            assert [account.id for account in again] == ids
