"""A store's documents over HTTP, with the real gateway."""

import pytest

from gateway.client import AmbiguousName, Client, find_store
from tests.gateway.conftest import ADMIN_KEY, Gateway


async def test_a_store_is_found_by_id_or_name(gateway: Gateway) -> None:
    async with Client(gateway.url, ADMIN_KEY) as client:
        id = (await client.post("/v1/vector_stores", {"name": "handbook"}))["id"]
        assert await find_store(client, "handbook") == id
        assert await find_store(client, id) == id
        assert await find_store(client, "nowhere") is None


async def test_two_stores_of_one_name_are_told_apart_by_id(gateway: Gateway) -> None:
    async with Client(gateway.url, ADMIN_KEY) as client:
        ids = [(await client.post("/v1/vector_stores", {"name": "handbook"}))["id"] for _ in range(2)]
        with pytest.raises(AmbiguousName) as caught:
            await find_store(client, "handbook")
        assert all(id in str(caught.value) for id in ids)
        assert await find_store(client, ids[1]) == ids[1]
