import time
from collections.abc import AsyncIterator

import pytest

from gateway.db import Database, open_database
from gateway.tenants.tables import TenantRow

TENANT = "ten_a"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        async with database.begin() as session:
            for name in ("a", "b"):
                session.add(TenantRow(id=f"ten_{name}", name=name, created_at=int(time.time())))
        yield database
