from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.sources import SourceRow
from gateway.sources.sync_job import ask_for_sync
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that the operator lends, with one of kestrel's in it."""
    folder = tmp_path / "lent" / "kestrel"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def settings(tmp_path: Path, root: Path, database_url: str, engine: FakeVllm) -> Settings:
    worker.prepare_home(tmp_path, engine.model)
    return Settings(
        home=tmp_path,
        database_url=database_url,
        engine_urls=(engine.url,),
        grace_seconds=2,
        source_folders=(str(tmp_path / "lent" / "{tenant}"),),
    )


class Sources(Client):
    """A tenant's way to sources."""

    async def source(self, store: str, origin: dict[str, Any], name: str = "docs", **more: Any) -> str:
        body = {"name": name, "vector_store_id": store, "origin": origin, **more}
        return (await self.ok("POST", "/api/sources", json=body))["id"]

    async def sync(self, source: str, confirm: int = 0) -> dict[str, Any]:
        """Synchronise until nothing is left to do, and return the source."""
        await self.ok("POST", f"/api/sources/{source}/sync", json={"confirm_deletions": confirm})
        await self.settle()
        return await self.ok("GET", f"/api/sources/{source}")

    async def schedule(self, gateway: Gateway, source: str) -> dict[str, Any]:
        """Synchronise as the schedule does, which nobody asked to be quick."""
        async with gateway.state.database.begin() as session:
            row = await session.get(SourceRow, source)
            assert row is not None
            await ask_for_sync(session, row)
        await self.settle()
        return await self.ok("GET", f"/api/sources/{source}")

    async def items(self, source: str) -> dict[str, dict[str, Any]]:
        page = await self.ok("GET", f"/api/sources/{source}/items", params={"limit": 1000})
        return {row["key"]: row for row in page["data"]}

    async def documents(self, store: str) -> dict[str, dict[str, Any]]:
        page = await self.ok("GET", f"/api/vector_stores/{store}/documents", params={"limit": 1000})
        return {row["key"]: row for row in page["data"]}


@pytest.fixture
async def kestrel(gateway: Gateway, index: FakeRetriever) -> Sources:
    return Sources(gateway, await gateway.tenant("kestrel"))


@pytest.fixture
async def harbor(gateway: Gateway, index: FakeRetriever) -> Sources:
    return Sources(gateway, await gateway.tenant("harbor"))
