"""Bounds that are settings of the operator, each at its border."""

from typing import Any

import httpx2
import pytest

from gateway.serve import choose_bounds, fit_files
from gateway.settings import Settings
from gateway.web.bounded_protocol import ConnectionBounds
from tests.fakes.trainer import rows
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway


@pytest.fixture
def settings(settings: Settings, engine: FakeVllm) -> Settings:
    worker.prepare_home(settings.home, engine.model)
    return settings.model_copy(update={"max_file_bytes": 100_000, "max_queued_jobs": 2})


async def upload(client: httpx2.AsyncClient, data: bytes, name: str = "a.bin") -> httpx2.Response:
    purpose = "fine-tune" if name.endswith(".jsonl") else "user_data"
    return await client.post("/v1/files", data={"purpose": purpose}, files={"file": (name, data)})


async def test_a_file_and_a_document_have_so_many_bytes(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    assert (await upload(client, b"x" * 100_000)).status_code == 200
    refused = await upload(client, b"x" * 100_001)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")
    assert "100000 bytes" in refused.json()["error"]["message"]
    path = f"/api/vector_stores/{store}/documents/a.txt"
    assert (await client.put(path, content=b"x" * 100_000)).status_code == 200
    assert (await client.put(path, content=b"x" * 100_001)).status_code == 413


async def test_so_many_jobs_of_a_tenant_wait(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    archive = (await upload(client, b"PK")).json()["id"]
    training = (await upload(client, rows(50), "rows.jsonl")).json()["id"]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/api/adapters", {"name": "voice", "file_id": archive}),
        ("/v1/fine_tuning/jobs", {"model": "base", "training_file": training}),
    ]
    for path, body in requests:
        for _ in range(2):
            assert (await client.post(path, json=body)).is_success
        refused = await client.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_queued_jobs")


def test_the_bounds_on_connections_are_the_operator_s() -> None:
    settings = Settings(
        max_connections=7, max_connections_per_client=5, client_pause_seconds=2, client_unread_seconds=3
    )
    assert choose_bounds(settings) == ConnectionBounds(7, 5, pause_seconds=2, write_seconds=3)
    patient = choose_bounds(Settings(client_pause_seconds=90))
    assert (patient.pause_seconds, patient.body_seconds) == (90, 90)
    assert choose_bounds(Settings()) == ConnectionBounds()


@pytest.mark.parametrize("files", [1, 65, 130, 256, 1024, 4096, 8192, 1_048_576])
@pytest.mark.parametrize("wanted", [1, 100, 4096, 10_000])
def test_connections_never_need_more_files_than_there_are(files: int, wanted: int) -> None:
    bounds = fit_files(ConnectionBounds(wanted), files, databases=20)
    assert 1 <= bounds.connections <= wanted
    needed = 64 + 3 * 20 + 2 * bounds.connections + bounds.refused_connections
    assert needed <= max(files, 64 + 3 * 20 + 2)
    assert bounds.connections == wanted or needed >= min(files - 1, 64 + 3 * 20 + 2), "none is refused that has room"
    assert fit_files(ConnectionBounds(), 1_048_576, databases=20) == ConnectionBounds()
