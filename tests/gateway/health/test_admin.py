"""The operator's port: details that clients don't get, of the gateway and of the worker."""

import asyncio
import os
import signal
import socket
from typing import Any

import httpx2
import pytest

from gateway.cli.serve import run_worker
from gateway.composition import open_gateway_admin, open_worker
from gateway.serve import serve
from gateway.settings import Settings
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.gateway.tuning import settings
from tests.gateway.worker import TIMINGS
from tests.ports import find_port
from tests.waiting import until

__all__ = ["settings"]


async def get(port: int, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as operator:
        return await operator.get(path)


def values(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_the_gateway_s_details_are_the_operator_s(
    settings: Settings, engine: FakeVllm, passages: FakePassages
) -> None:
    settings = settings.model_copy(update={"admin_port": 0})
    async with running(settings) as gateway, open_gateway_admin(settings, gateway.state) as port:
        assert port is not None
        await until(lambda: gateway.state.reconciler.caught_up)
        client = await gateway.tenant("kestrel")
        asked = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await client.post(CHAT, json=asked)).status_code == 200
        assert (await get(port, "/healthz")).json() == {"status": "ok"}
        ready = await get(port, "/readyz")
        assert ready.status_code == 200
        assert ready.json()["ready"] is True
        assert [replica["url"] for replica in ready.json()["replicas"]] == [engine.url]
        assert ready.json()["adapter_failures"] == []
        metrics = values((await get(port, "/metrics")).text)
        assert metrics['braid_replica_ready{replica="engine 1"}'] == 1
        assert metrics['braid_adapters_resident{replica="engine 1"}'] == 0
        assert metrics['braid_adapter_failures{permanent="true",replica="engine 1"}'] == 0
        assert metrics['braid_http_requests_total{method="POST",route="/v1/chat/completions",status="2xx"}'] == 1
        assert metrics['braid_database_connections{state="used"}'] >= 0
        assert "braid_answer_records_waiting" in metrics
        assert metrics['braid_retriever_work{kind="searches",process="first"}'] == 3
        assert metrics['braid_retriever_work{kind="ahead",process="first"}'] == 4
        passages.failing = True
        assert "braid_retriever_work{" not in (await get(port, "/metrics")).text
        passages.failing = False
        assert (await get(port, "/v1/models")).status_code == 404
        async with httpx2.AsyncClient() as operator:
            assert (await operator.post(f"http://127.0.0.1:{port}/metrics")).status_code == 405


@pytest.mark.parametrize(
    ("change", "open_to_clients"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "192.0.2.1"}, False),
        ({"host": "gateway.example"}, False),
        ({"admin_port": 9090}, False),
    ],
)
async def test_clients_get_metrics_only_from_a_port_of_this_machine(
    settings: Settings, change: dict[str, Any], open_to_clients: bool
) -> None:
    changed = settings.model_copy(update=change)
    assert changed.client_port_is_private == open_to_clients
    async with running(changed) as gateway:
        answer = await gateway.admin.get("/metrics")
        assert answer.status_code == (200 if open_to_clients else 404)
        if not open_to_clients:
            assert answer.json()["error"]["code"] == "unknown_url"
        assert (await gateway.admin.get("/readyz")).json().keys() == {"ready", "degraded", "parts"}


async def test_a_port_that_is_taken_stops_nothing(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = settings.model_copy(update={"admin_port": listener.getsockname()[1]})
        async with running(taken) as gateway, open_gateway_admin(taken, gateway.state) as port:
            assert port is None


def test_a_worker_s_port_is_the_one_after_the_gateway_s() -> None:
    assert (Settings().gateway_admin_port, Settings().worker_admin_port) == (8082, 8083)
    moved = Settings(admin_port=9100)
    assert (moved.gateway_admin_port, moved.worker_admin_port) == (9100, 9101)


async def test_a_worker_s_details_are_the_operator_s(
    settings: Settings, gateway: Gateway, passages: FakePassages
) -> None:
    port = find_port()
    moved = settings.model_copy(update={"admin_port": port - 1})
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "manuals"})).json()["id"]
    put = await client.put(f"/api/vector_stores/{store}/documents/a.md", content=b"# Text")
    assert put.status_code in (200, 201, 202), put.text
    async with open_worker(moved, TIMINGS, admin=True) as worker:
        waiting = values((await get(port, "/metrics")).text)
        assert waiting['braid_jobs{kind="ingest",status="queued"}'] == 1
        working = asyncio.create_task(worker.run())
        try:
            ended = 'braid_jobs_ended_total{kind="ingest",outcome='
            async with asyncio.timeout(20):
                while not any(name.startswith(ended) for name in values((await get(port, "/metrics")).text)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            ready = await get(port, "/readyz")
            assert ready.json()["parts"]["database"] == "ok"
            assert ready.status_code == 200
        finally:
            worker.stop()
            await working


async def test_the_processes_serve_their_ports(settings: Settings, passages: FakePassages) -> None:
    port = find_port(2)
    moved = settings.model_copy(update={"port": find_port(), "admin_port": port})
    for process, number in ((serve(moved), port), (run_worker(moved), port + 1)):
        running_process = asyncio.create_task(process)
        try:
            await until(lambda number=number: _listens(number))
            assert (await get(number, "/healthz")).status_code == 200
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(20):
                await running_process
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(sign)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
