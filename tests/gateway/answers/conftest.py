import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.db import Database, open_database
from tests.gateway.answers.steps import Log


@pytest.fixture
async def database(migrated: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(migrated, tmp_path / "braid.db")
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}") as opened:
        async with opened.begin() as session:
            for tenant in ("kestrel", "harbor"):
                await session.execute(
                    text("INSERT INTO tenants (id, name, created_at) VALUES (:id, :id, 1)"), {"id": tenant}
                )
        yield opened


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)
