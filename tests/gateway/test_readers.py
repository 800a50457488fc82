"""Who reads waits for nobody who writes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.db import Database
from tests.architecture.test_routes import routes, scopes_of
from tests.gateway.conftest import Gateway


@asynccontextmanager
async def a_writer(database: Database) -> AsyncIterator[None]:
    """A unit of work that writes for as long as the block lasts."""
    async with database.begin() as session:
        await session.connection()
        yield


async def test_nothing_that_is_read_waits_for_who_writes(gateway: Gateway) -> None:
    """SQLite has one writer at a time; a read that takes a writer's place waits until all others are done."""
    client = await gateway.tenant("kestrel")
    waiting: list[str] = []
    statuses: set[int] = set()
    async with a_writer(gateway.state.database):
        for route in routes():
            if "GET" not in (route.methods or ()):
                continue
            asker = gateway.admin if "admin" in scopes_of(route) else client
            url = re.sub(r"\{[^}]*\}", "none", route.path)
            try:
                statuses.add((await asyncio.wait_for(asker.get(url), 5)).status_code)
            except TimeoutError:
                waiting.append(route.path)
    assert waiting == []
    assert {200, 404} <= statuses
