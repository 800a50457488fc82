import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.composition import open_worker
from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway
from tests.gateway.jobs.working import until_idle
from tests.gateway.tuning import settings
from tests.gateway.worker import TIMINGS

__all__ = ["settings"]


@pytest.fixture
async def index(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.retriever_socket) as fake:
        yield fake


class Client:
    """A tenant's way to stores and documents."""

    def __init__(self, gateway: Gateway, http: httpx2.AsyncClient) -> None:
        self._gateway = gateway
        self.http = http

    async def ok(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, path, **more)
        assert response.status_code == 200, response.text
        return response.json()

    async def fault(self, status: int, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = await self.http.request(method, path, **more)
        assert response.status_code == status, response.text
        return response.json()["error"]

    async def store(self, **more: Any) -> str:
        return (await self.ok("POST", "/v1/vector_stores", json=more))["id"]

    async def file(self, data: bytes, name: str = "facts.txt") -> str:
        form = {"data": {"purpose": "assistants"}, "files": {"file": (name, data)}}
        return (await self.ok("POST", "/v1/files", **form))["id"]

    async def put(self, store: str, key: str, data: bytes | str, **more: Any) -> dict[str, Any]:
        body = data.encode() if isinstance(data, str) else data
        return await self.ok("PUT", f"/api/vector_stores/{store}/documents/{key}", content=body, **more)

    async def get(self, store: str, key: str) -> dict[str, Any]:
        return await self.ok("GET", f"/api/vector_stores/{store}/documents/{key}")

    async def live(self, store: str, key: str, data: str | None = None) -> dict[str, Any]:
        """Put the data, if there are any, and wait until the document is live or has failed, on the slowest machine."""
        if data is not None:
            await self.put(store, key, data)
        async with asyncio.timeout(100):
            while True:
                got = await self.ok("GET", f"/api/vector_stores/{store}/documents/{key}", params={"wait": 10})
                if got["status"] != "in_progress":
                    return got

    async def search(self, store: str, query: str | list[str], **more: Any) -> list[str]:
        page = await self.ok("POST", f"/v1/vector_stores/{store}/search", json={"query": query, **more})
        return [item["content"][0]["text"] for item in page["data"]]

    async def settle(self) -> None:
        """Run the worker until it has nothing more to do."""
        state = self._gateway.state
        async with open_worker(state.settings, TIMINGS) as worker:
            await until_idle(worker, state.database, delayed_too=False)


@pytest.fixture
async def kestrel(gateway: Gateway, index: FakeRetriever) -> Client:
    return Client(gateway, await gateway.tenant("kestrel"))


@pytest.fixture
async def harbor(gateway: Gateway, index: FakeRetriever) -> Client:
    return Client(gateway, await gateway.tenant("harbor"))
