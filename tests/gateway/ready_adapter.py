"""An adapter that is ready, as if it had been trained or imported: its row, and a folder that fake engines load."""

from pathlib import Path
from typing import Any

from sqlalchemy import select

from gateway.adapters.tables import AdapterRow
from gateway.db import open_database
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from tests.fakes import _tokens

__all__ = ["add_adapter"]

TOKENS = [11, 12, 13, 14, 15, 16, 17, 18]


async def add_adapter(settings: Settings, model: str, manifest: dict[str, Any] | None = None) -> None:
    """Write the row and the folder of an adapter that engines load and reproduce; `manifest` is what else it has."""
    folder = Path(settings.artifacts / "adapters" / "sha256-of-style")
    folder.mkdir(parents=True)
    scores, base = _tokens.logprobs(folder.name, TOKENS), _tokens.logprobs("base", TOKENS)
    probe = [{"tokens": TOKENS, "from": 2, "logprobs": scores[2:], "base_logprobs": base[2:]}]
    async with open_database(settings.database) as database, database.begin() as session:
        tenant = (await session.scalars(select(TenantRow.id).where(TenantRow.name == "kestrel"))).one()
        row = AdapterRow(
            id="adapter_1",
            tenant_id=tenant,
            created_at=1,
            name="style",
            model=model,
            served_name="kestrel.style.1",
            digest=folder.name,
            base_model="base",
            rank=4,
            status="ready",
            source="file-1",
            manifest={"probe": probe, **(manifest or {})},
            job_id=None,
        )
        session.add(row)
