"""A gateway as a process of its own, `braid serve`, which can be told to end or be killed."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2

from gateway.settings import Settings
from tests.gateway.conftest import ADMIN_KEY
from tests.waiting import until

__all__ = ["gateway_process", "make_tenant"]


@asynccontextmanager
async def gateway_process(
    settings: Settings,
    port: int,
    *,
    grace: float = 2,
    files: int | None = None,
    log: str | None = None,
    **environment: str,
) -> AsyncGenerator[tuple[httpx2.AsyncClient, asyncio.subprocess.Process]]:
    """Serve at a port; the client has the administrator's key.

    `files` bounds those that the process may open; `log` is where its stderr goes.
    """
    variables = {
        **os.environ,
        "BRAID_GRACE_SECONDS": str(grace),
        "BRAID_DATABASE_URL": settings.database_url or "",
        "BRAID_ENGINE_URLS": ",".join(settings.engine_urls),
        "BRAID_ADMIN_PORT": "0",
        **environment,
    }
    command = [sys.executable, "-m", "gateway.cli", "serve", "--home", str(settings.home), "--port", str(port)]
    limit, place = f"ulimit -n {files} &&" if files else "", f"2>{log}" if log else ""
    shell = ["sh", "-c", f'{limit} exec "$@" {place}', "sh"]
    process = await asyncio.create_subprocess_exec(*shell, *command, env=variables)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(answers, 120)
            client.headers["authorization"] = f"Bearer {ADMIN_KEY}"
            yield client, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def make_tenant(client: httpx2.AsyncClient, name: str) -> str:
    """Make a tenant as the administrator, and return a key of it."""
    await client.post("/api/tenants", json={"name": name})
    answer = await client.post("/api/keys", json={"tenant": name, "name": "test", "scopes": ["chat", "manage"]})
    return answer.json()["key"]
