"""No folder and no address of a private part reaches a client in an error that is stored."""

import re

import pytest

from gateway.adapters.lifecycle import AdapterStatus, refuse
from gateway.adapters.tables import AdapterRow
from gateway.db import Database
from gateway.engines import AdapterUnservable
from gateway.jobs import JobDelayed, JobFailed, JobRow, enqueue
from gateway.migrations.tables import Base
from gateway.sources.reader import ItemUnreadable
from gateway.sources.repository import SourceItemRepository, SourceRepository
from gateway.sources.sync_job import note_failure
from gateway.sources.tables import SourceRow
from tests.fakes import faults
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.jobs.conftest import TENANT, database
from tests.gateway.jobs.test_worker import Scripted, scripted_worker
from tests.waiting import until

__all__ = ["database"]

PLACES = "'/srv/braid/work/x.bin' at http://10.1.2.3:8001/v1, gpu-3.internal:8000, File \"/opt/app/main.py\", [::1]:81"
LEAK = re.compile(r"/srv|/opt|braid/work|10\.1\.2\.3|gpu-3|8001|8000|::1")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/srv/braid/work/x.bin"),
        RuntimeError(PLACES),
        JobFailed("trainer_crashed", PLACES),
        JobDelayed(PLACES, seconds=0.01),
    ],
)
async def test_the_error_of_a_job_names_no_place(database: Database, error: Exception) -> None:
    async def fail(_claim: object) -> None:
        raise error

    handler = Scripted(fail)
    async with database.begin() as session:
        job = await enqueue(session, TENANT, kind="test", queue_key="k", subject="s", payload={})

    async def stored() -> str:
        async with database.read() as session:
            row = await session.get(JobRow, job.id)
        return str(row.error["message"]) if row is not None and row.error else ""

    async with scripted_worker(database, {"test": handler}):
        await until(stored)
        if not isinstance(error, JobDelayed):
            await until(lambda: bool(handler.outcomes))
            assert not LEAK.search(handler.outcomes[0].message or "")  # what goes to the job's subject
        assert not LEAK.search(await stored())


def test_the_reason_of_an_adapter_names_no_place() -> None:
    row = AdapterRow(status=AdapterStatus.PROBING.value)
    refuse(row, f"An engine refused the adapter: {PLACES}")
    assert row.reason
    assert not LEAK.search(row.reason)
    assert not LEAK.search(AdapterUnservable("kestrel.house.1", PLACES).reason)


async def test_the_error_of_a_source_s_item_names_no_place(database: Database) -> None:
    source = SourceRow(
        **{"id": "src", "created_at": 1, "name": "a", "live_name": "a", "store_id": "vs", "kind": "folder"},
        **{"origin": {}, "prefix": "", "include": [], "exclude": [], "hidden": False, "attributes": {}},
        status="syncing",
    )
    async with database.begin() as session:
        SourceRepository(session, TENANT).add(source)
        await session.flush()
        await note_failure(session, TENANT, "src", "a.md", ItemUnreadable(f"It can't be read: {PLACES}"))
    async with database.read() as session:
        item = (await SourceItemRepository(session, TENANT).list_all())[0]
    assert item.error_message
    assert not LEAK.search(item.error_message)


async def test_the_error_of_a_chat_request_names_no_place(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(faults.status(400, f"Bad request: {PLACES}"))
    client = await gateway.tenant("kestrel")
    answer = await client.post(CHAT, json={"model": "base", "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.status_code == 400
    assert "Bad request" in answer.text
    assert not LEAK.search(answer.text)


def test_every_column_with_an_error_is_known_here() -> None:
    """All but adapters' and items' are written from a job's outcome; a new one has to go through `blur` too."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if "error" in column.name or "reason" in column.name
    }
    assert columns == {
        "adapters.reason",
        "diagnoses.error",
        "comparison_items.error",
        "comparison_votes.reason",  # a voter's own words
        "comparisons.error",
        "comparisons.errored",  # a number
        "document_versions.error_code",
        "document_versions.error_message",
        "document_versions.mirror_error",
        "eval_runs.error",
        "eval_runs.errored",  # a number
        "evaluations.error",
        "feedback.reason",  # a voter's own words
        "fine_tuning_jobs.error",
        "gates.error",
        "jobs.error",
        "source_items.error_message",
        "sources.error_code",
        "sources.error_message",
    }
