"""Bytes go when the last row that refers to them has gone, of whichever tenant, and not before their time."""

import os
import time
from typing import Any

import httpx2

from gateway.composition import DIGESTS
from gateway.files.garbage_collection import GarbageCollector
from gateway.jobs import JobRow, Worker, WorkerTimings
from gateway.jobs.repository import change
from tests.gateway.conftest import Gateway
from tests.gateway.files.test_files import made
from tests.gateway.jobs.working import until_idle


async def forget_now(gateway: Gateway) -> None:
    """Let the jobs' time come, and run them."""
    database = gateway.state.database
    async with database.begin() as session:
        await change(session, JobRow.kind == "forget", not_before=None)
    handler = GarbageCollector(database, gateway.state.artifacts, DIGESTS)
    worker = Worker(database, {"forget": handler}, name="w", timings=WorkerTimings(idle_seconds=0.01))
    await until_idle(worker, database, delayed_too=False)


def age(gateway: Gateway, seconds: float) -> None:
    for path in (gateway.state.artifacts.root / "files").iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def kept(gateway: Gateway) -> int:
    return len(list((gateway.state.artifacts.root / "files").iterdir()))


async def test_bytes_go_with_their_last_file(gateway: Gateway) -> None:
    one, other = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    files: list[tuple[httpx2.AsyncClient, dict[str, Any]]] = [(client, await made(client)) for client in (one, other)]
    assert kept(gateway) == 1
    for left, (client, file) in ((1, files[0]), (0, files[1])):
        await client.delete(f"/v1/files/{file['id']}")
        age(gateway, 7200)
        await forget_now(gateway)
        assert kept(gateway) == left
    assert (await one.get("/v1/files")).json()["data"] == []


async def test_bytes_that_were_just_put_again_stay(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    file = await made(client)
    await client.delete(f"/v1/files/{file['id']}")
    age(gateway, 1800)  # somebody may be about to write the row of the same bytes
    await forget_now(gateway)
    assert kept(gateway) == 1


async def test_the_bytes_of_a_refused_training_file_go_too(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    refused = await client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", b"no row\n")})
    assert refused.status_code == 400
    age(gateway, 7200)
    await forget_now(gateway)
    assert kept(gateway) == 0
