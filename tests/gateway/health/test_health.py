"""Health: alive is not ready, and each part that isn't ready says why, without addresses."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy import event

from gateway.db import open_database
from gateway.engines import EnginePool, Reconciler
from gateway.health import readiness
from gateway.health.figures import Figures
from gateway.health.readiness import RemoteParts, check_readiness
from gateway.settings import Settings
from gateway.shutdown import Drain
from retrieval.client import Retriever
from tests.fakes.passages import FakePassages
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.gateway.full_disk import full
from tests.waiting import until


async def no_adapters() -> list[Any]:
    return []


@asynccontextmanager
async def caught_up(settings: Settings) -> AsyncGenerator[Gateway]:
    """Run a gateway whose adapters have had their turn, without which it isn't ready."""
    async with running(settings) as gateway:
        await until(lambda: gateway.state.reconciler.caught_up)
        yield gateway


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with caught_up(settings) as gateway:
        yield gateway


async def get(gateway: Gateway, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=gateway.url) as anonymous:
        return await anonymous.get(path)


async def test_all_parts_there_is_ready(gateway: Gateway, passages: FakePassages) -> None:
    answer = await get(gateway, "/readyz")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "ready": True,
        "degraded": [],
        "parts": dict.fromkeys(["process", "database", "engines", "adapters", "retriever", "engine 1"], "ok"),
    }


async def until_degraded(gateway: Gateway, parts: list[str]) -> None:
    async with asyncio.timeout(20):
        while (await get(gateway, "/readyz")).json()["degraded"] != parts:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_missing_retriever_is_named_without_its_address(gateway: Gateway, settings: Settings) -> None:
    answer = await get(gateway, "/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["retriever"]
    assert "doesn't answer" in answer.json()["parts"]["retriever"]
    assert str(settings.retriever_socket) not in answer.text
    assert (await get(gateway, "/healthz")).json() == {"status": "ok"}


async def test_an_index_whose_server_refuses_is_told_apart(gateway: Gateway, passages: FakePassages) -> None:
    passages.failing, passages.code = True, "index_unavailable"
    body = (await get(gateway, "/readyz")).json()
    assert (body["ready"], body["degraded"]) == (True, ["retriever"])
    assert "braid doctor" in body["parts"]["retriever"]


async def test_an_index_without_room_is_named_until_it_has_some(gateway: Gateway, settings: Settings) -> None:
    async with FakeRetriever(settings.retriever_socket) as retriever:
        retriever.problem = "The server has no room for more."
        await until_degraded(gateway, ["retriever"])
        assert (await get(gateway, "/readyz")).json()["parts"]["retriever"] == retriever.problem
        retriever.problem = ""
        await until_degraded(gateway, [])


async def test_an_index_that_takes_longer_than_a_probe_is_not_there_and_away_by_turns(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(readiness, "_FRESH_SECONDS", 0.02)
    async with FakeRetriever(settings.retriever_socket) as retriever:
        retriever.before["describe"] = lambda: asyncio.sleep(0.3)
        await until_degraded(gateway, [])
        degraded = [(await get(gateway, "/readyz")).json()["degraded"] for _ in range(20)]
        assert not any("retriever" in parts for parts in degraded)
    await until_degraded(gateway, ["retriever"])


async def test_a_full_disk_of_the_database_is_named_while_records_wait_for_it(
    gateway: Gateway, passages: FakePassages
) -> None:
    client = await gateway.tenant("kestrel")
    question = {"model": "base", "messages": [{"role": "user", "content": "Hi"}], "metadata": {"note": "x" * 500}}
    with full(gateway.state.database):
        async with asyncio.timeout(20):
            while not (body := (await get(gateway, "/readyz")).json())["degraded"]:
                assert (await client.post("/v1/chat/completions", json=question)).status_code == 200
        assert (body["ready"], body["degraded"]) == (True, ["database"])
        assert "its disk takes nothing more" in body["parts"]["database"]
    async with asyncio.timeout(20):
        while (await get(gateway, "/readyz")).json()["degraded"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_an_engine_that_computes_no_numbers_is_named_and_goes_on(
    settings: Settings, engine: FakeVllm, passages: FakePassages
) -> None:
    engine.corrupted = 2
    async with caught_up(settings) as gateway:
        async with asyncio.timeout(20):
            while not (body := (await get(gateway, "/readyz")).json())["degraded"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (body["ready"], body["degraded"]) == (True, ["engine 1"])
        assert "(NaN) for 2 requests" in body["parts"]["engine 1"]
        assert gateway.state.pool.list_states()[0].corrupted_requests == 2
        text = (await cast(Figures, gateway.state.parts[Figures]).render_text()).decode()
        assert 'braid_replica_corrupted_requests{replica="engine 1"} 2.0' in text


async def test_an_engine_that_says_it_is_ill_is_named_without_its_address(
    settings: Settings, engine: FakeVllm, passages: FakePassages
) -> None:
    async with caught_up(settings) as gateway:
        engine.healthy = False
        async with asyncio.timeout(20):
            while (answer := await get(gateway, "/readyz")).status_code == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert answer.status_code == 503
        assert answer.json()["parts"]["engine 1"] != "ok"
        assert engine.url not in answer.text


async def test_one_engine_of_two_is_enough(settings: Settings, engine: FakeVllm, passages: FakePassages) -> None:
    async with FakeVllm() as second:
        both = settings.model_copy(update={"engine_urls": (engine.url, second.url)})
        async with caught_up(both) as gateway:
            await second.stop()
            await until(lambda: [replica.ready for replica in gateway.state.pool.replicas] == [True, False])
            answer = await get(gateway, "/readyz")
            assert (answer.status_code, answer.json()["degraded"]) == (200, ["engine 2"])
            assert second.url not in answer.text
            assert "Refused" not in answer.text


async def test_a_gateway_is_ready_once_its_adapters_have_had_their_turn(
    settings: Settings, engine: FakeVllm, passages: FakePassages, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer_now = asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> list[Any]:
        asked.set()
        await answer_now.wait()
        return []

    monkeypatch.setattr("gateway.composition.parts.DesiredAdapters.__call__", slow)
    async with running(settings) as gateway:
        await asked.wait()
        answer = await get(gateway, "/readyz")
        assert (answer.status_code, answer.json()["degraded"]) == (503, ["adapters"])
        answer_now.set()
        await until(lambda: gateway.state.reconciler.caught_up)
        assert (await get(gateway, "/readyz")).status_code == 200


async def test_a_flood_of_probes_asks_the_parts_once(gateway: Gateway, passages: FakePassages) -> None:
    questions = list[float]()

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement == "SELECT 1":
            questions.append(time.monotonic())

    event.listen(gateway.state.database.engine.sync_engine, "before_cursor_execute", note)
    async with httpx2.AsyncClient(base_url=gateway.url) as probes:
        for _ in range(10):
            answers = await asyncio.gather(*(probes.get("/readyz") for _ in range(10)))
            assert {answer.status_code for answer in answers} == {200}
    assert questions
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(questions))
    await gateway.state.drain.finish(0)  # what needs no asking is never old
    assert (await get(gateway, "/readyz")).status_code == 503


async def test_a_part_that_comes_back_is_seen_within_seconds(gateway: Gateway, settings: Settings) -> None:
    async def whole() -> bool:
        return not (await get(gateway, "/readyz")).json()["degraded"]

    assert not await whole()
    async with FakePassages(settings.retriever_socket):
        await until(whole)


async def test_a_process_that_stops_is_not_ready(gateway: Gateway, passages: FakePassages) -> None:
    await gateway.state.drain.finish(0)
    answer = await get(gateway, "/readyz")
    assert answer.status_code == 503
    assert "stopping" in answer.json()["parts"]["process"]


async def test_a_database_that_fails_is_named_by_the_kind_of_its_error(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:////{tmp_path}/missing/../x.db") as database:
        await database.engine.dispose()
        (tmp_path / "x.db").unlink(missing_ok=True)
        (tmp_path / "x.db").mkdir()
        async with EnginePool([]) as pool, Retriever(tmp_path / "none.sock") as retriever:
            remote = RemoteParts(database, retriever)
            found = await check_readiness(remote, pool, Reconciler(pool, no_adapters), Drain())
    assert not found.ready
    assert "OperationalError" in found.parts["database"].reason
    assert str(tmp_path) not in found.parts["database"].reason


@pytest.mark.parametrize(
    "name", ["braid_chat_answers_total", "braid_chat_running", "braid_chat_seconds", "braid_chat_first_byte_seconds"]
)
async def test_metrics_are_prometheus_text(gateway: Gateway, name: str) -> None:
    answer = await get(gateway, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert f"# TYPE {name.removesuffix('_total')}" in answer.text
