import time
from collections.abc import AsyncIterator

import pytest

from gateway.db import Database, open_database
from gateway.migrations import migrate
from gateway.tenants.tables import TenantRow

TENANT = "ten_a"


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    async with open_database(empty_database) as database:
        await migrate(database)
        async with database.begin() as session:
            for name in ("a", "b"):
                session.add(TenantRow(id=f"ten_{name}", name=name, created_at=int(time.time())))
        yield database
