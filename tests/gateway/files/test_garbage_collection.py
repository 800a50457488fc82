"""Bytes go when the last row that refers to them has gone, of whichever tenant, and not before their time."""

import os
import time
from typing import Any

import httpx2

from gateway.files.garbage_collection import GarbageCollector, collect_later
from gateway.jobs import JobRow, Worker, WorkerTimings
from gateway.jobs.repository import change
from gateway.migrations.digests import DIGESTS
from gateway.migrations.tables import Base
from gateway.tenants.repository import find_tenant
from tests.gateway.conftest import Gateway
from tests.gateway.files.test_files import upload_file
from tests.gateway.jobs.working import until_idle
from tests.gateway.tuning import JOBS, start


async def collect_now(gateway: Gateway) -> None:
    """Let the jobs' time come, and run them."""
    database = gateway.state.database
    async with database.begin() as session:
        await change(session, JobRow.kind == "collect_garbage", not_before=None)
    handler = GarbageCollector(database, gateway.state.artifacts, DIGESTS)
    worker = Worker(database, {"collect_garbage": handler}, name="w", timings=WorkerTimings(idle_seconds=0.01))
    await until_idle(worker, database, delayed_too=False)


def age(gateway: Gateway, seconds: float) -> None:
    for path in (gateway.state.artifacts.root / "files").iterdir():
        moment = time.time() - seconds
        os.utime(path, (moment, moment))


def count_bytes(gateway: Gateway) -> int:
    return len(list((gateway.state.artifacts.root / "files").iterdir()))


async def test_bytes_go_with_their_last_file(gateway: Gateway) -> None:
    one, other = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    files: list[tuple[httpx2.AsyncClient, dict[str, Any]]] = [
        (client, await upload_file(client)) for client in (one, other)
    ]
    assert count_bytes(gateway) == 1
    for left, (client, file) in ((1, files[0]), (0, files[1])):
        await client.delete(f"/v1/files/{file['id']}")
        age(gateway, 7200)
        await collect_now(gateway)
        assert count_bytes(gateway) == left
    assert (await one.get("/v1/files")).json()["data"] == []


async def test_bytes_that_were_just_put_again_stay(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload_file(client)
    await client.delete(f"/v1/files/{file['id']}")
    age(gateway, 1800)  # somebody may be about to write the row of the same bytes
    await collect_now(gateway)
    assert count_bytes(gateway) == 1


async def test_the_bytes_of_a_refused_training_file_go_too(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    refused = await client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", b"no row\n")})
    assert refused.status_code == 400
    age(gateway, 7200)
    await collect_now(gateway)
    assert count_bytes(gateway) == 0


async def test_the_rows_of_a_fine_tuning_job_stay_when_its_file_goes(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    files = gateway.state.artifacts
    (uploaded,) = {path.name for path in (files.root / "files").iterdir()} - {job["braid"]["rows"]}
    await client.delete(f"/v1/files/{job['training_file']}")
    await client.post(f"{JOBS}/{job['id']}/cancel")
    age(gateway, 7200)
    async with gateway.state.database.begin() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        await collect_later(session, tenant.id, [uploaded, job["braid"]["rows"]])
    await collect_now(gateway)
    assert not files.locate_file(uploaded).exists()
    assert files.locate_file(job["braid"]["rows"]).exists()


def test_every_column_that_names_bytes_in_the_artifacts_is_a_root() -> None:
    """A digest that isn't of a file's bytes is listed here; any other has to keep its bytes alive."""
    others = {
        "keys.digest",
        "prompts.digest",
        "adapters.digest",
        "base_models.digest",
        "base_models.chat_template_digest",
        "source_items.digest",  # of what a document's version keeps
    }
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.endswith("digest")
    }
    assert {f"{column.class_.__tablename__}.{column.key}" for column in DIGESTS} == columns - others
