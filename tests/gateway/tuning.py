"""Fixtures and steps that tests of fine-tuning and of adapters share."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

import prompts
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import FINAL_STATUSES
from gateway.settings import Settings
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import rows, write_trainer
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway
from tests.waiting import until

JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, engine: FakeVllm) -> Settings:
    """As everywhere, with a base model of a few hundred bytes and a trainer without torch."""
    worker.prepare_home(tmp_path, engine.model)
    trainer = write_trainer(tmp_path / "python")
    return Settings(
        home=tmp_path,
        database_url=database_url,
        engine_urls=(engine.url,),
        grace_seconds=2,
        model_python=trainer,
        source_folders=(str(tmp_path / "lent"),),
    )


@pytest.fixture
async def background_worker(gateway: Gateway, settings: Settings) -> AsyncIterator[None]:
    """Run the worker with an index in memory."""
    async with FakeRetriever(settings.retriever_socket), worker.working(settings):
        yield


def note_renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the replies of rows, which grows by one whenever one is rendered."""
    replies: list[str] = []
    render_row: Callable[..., Any] = prompts.render_row

    def render(template: prompts.Template, messages: Sequence[prompts.Message], *rest: Any, **options: Any) -> Any:
        replies.append(messages[-1].content or "")
        return render_row(template, messages, *rest, **options)

    monkeypatch.setattr(prompts, "render_row", render)
    return replies


async def upload(
    client: httpx2.AsyncClient, data: bytes, *, name: str = "rows.jsonl", purpose: str = "fine-tune"
) -> str:
    answer = await client.post("/v1/files", data={"purpose": purpose}, files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def ask(client: httpx2.AsyncClient, data: bytes | None = None, **fields: Any) -> httpx2.Response:
    """Ask for a job with these rows, by default 50 good ones, and with no answer of the base's own among them."""
    braid = {"rehearsal": 0} | (fields.pop("braid", None) or {})
    file = fields.pop("training_file", None) or await upload(client, rows(50) if data is None else data)
    return await client.post(JOBS, json={"model": "base", "training_file": file, "seed": 1, "braid": braid, **fields})


async def start(client: httpx2.AsyncClient, data: bytes | None = None, **fields: Any) -> dict[str, Any]:
    answer = await ask(client, data, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def retrieve(client: httpx2.AsyncClient, job: str) -> dict[str, Any]:
    answer = await client.get(f"{JOBS}/{job}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read_row(gateway: Gateway, job: str) -> FineTuningJobRow:
    """Return a job as the database has it."""
    async with gateway.state.database.read() as session:
        row = await session.scalar(select(FineTuningJobRow).where(FineTuningJobRow.id == job))
        assert row is not None
        return row


async def ended(client: httpx2.AsyncClient, job: str, seconds: float = 60) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            shown = await retrieve(client, job)
            if shown["status"] in FINAL_STATUSES:
                return shown
            await asyncio.sleep(0.1)


async def events(client: httpx2.AsyncClient, job: str) -> list[dict[str, Any]]:
    """All events of a job, oldest first."""
    answer = await client.get(f"{JOBS}/{job}/events", params={"limit": 1000})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][::-1]


async def list_messages(client: httpx2.AsyncClient, job: str) -> list[str]:
    """What all events of a job say, oldest first."""
    return [event["message"] for event in await events(client, job)]


async def until_trains(client: httpx2.AsyncClient, job: str) -> None:
    async def trains() -> bool:
        return any(event["type"] == "metrics" for event in await events(client, job))

    await until(trains)


async def adapters(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/adapters")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def until_status(client: httpx2.AsyncClient, status: str) -> None:
    """Wait until one of the tenant's adapters has this status."""

    async def has() -> bool:
        return any(row["status"] == status for row in await adapters(client))

    await until(has)


async def until_loaded(client: httpx2.AsyncClient, model: str) -> None:
    """Wait until the gateway's reconciler has loaded and measured an adapter too."""

    async def loaded() -> bool:
        return any(row["model"] == model and row["loaded"]["replicas"] for row in await adapters(client))

    await until(loaded)


def work_folders(settings: Settings, subject: str) -> list[Path]:
    """Return the folders that claims of the subject's jobs work in."""
    return list((settings.home / "work").glob(f"{subject}.*"))


def loads(engine: FakeVllm) -> list[str]:
    """The paths that the engine was asked to load, in order."""
    return [json.loads(request.body)["lora_path"] for request in engine.requests("/v1/load_lora_adapter")]
