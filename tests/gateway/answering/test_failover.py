"""Whatever an engine does before the first byte, a request gets another one, its adapter back, or an error soon."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.engines import Connections, Engine, Timeouts
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.vllm import CHAT, HEALTH, LOAD, FakeVllm
from tests.gateway.conftest import Gateway, running
from tests.gateway.ready_adapter import add_adapter
from tests.waiting import until

ASK = {"model": "base", "messages": [{"role": "user", "content": "Hello?"}]}


@asynccontextmanager
async def two_replicas(settings: Settings, engine: FakeVllm) -> AsyncGenerator[tuple[Gateway, FakeVllm]]:
    """A gateway before `engine` and a second one, when both are ready."""
    async with (
        FakeVllm() as second,
        running(settings.model_copy(update={"engine_urls": (engine.url, second.url)})) as gateway,
    ):
        await until(lambda: all(replica.ready for replica in gateway.state.pool.replicas))
        yield gateway, second


async def test_a_host_that_does_not_answer_is_another_replicas_turn(
    settings: Settings, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        async with (
            Connections() as connections,
            FakeVllm() as second,
            running(settings.model_copy(update={"engine_urls": (engine.url, second.url)})) as two,
        ):
            await until(lambda: all(replica.ready for replica in two.state.pool.replicas))
            client = await two.tenant("kestrel")
            gone = two.state.pool.replicas[0]
            silent = Engine(f"http://127.0.0.1:{address[1]}", connections, Timeouts(0.2, 5, 5, 5, 5))
            filling = [asyncio.open_connection(*address) for _ in range(2)]
            opened = [asyncio.ensure_future(one) for one in filling]
            await asyncio.sleep(0.05)
            monkeypatch.setattr(gone.engine, "chat", silent.chat)
            answers = [await client.post(CHAT, json=ASK) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert len(second.requests()) == 2
            for one in opened:
                one.cancel()
            for result in await asyncio.gather(*opened, return_exceptions=True):
                if isinstance(result, tuple):
                    result[1].close()


@pytest.mark.parametrize("stream", [True, False])
async def test_what_waits_on_an_engine_that_is_lost_goes_to_another(
    settings: Settings, engine: FakeVllm, stream: bool
) -> None:
    async with (
        FakeVllm() as second,
        running(settings.model_copy(update={"engine_urls": (engine.url, second.url)})) as two,
    ):
        two.state.pool._interval = 0.05
        await until(lambda: all(replica.ready for replica in two.state.pool.replicas))
        client = await two.tenant("kestrel")
        engine.script(faults.hang())
        asking = [asyncio.create_task(client.post(CHAT, json={**ASK, "stream": stream})) for _ in range(2)]
        await until(lambda: engine.requests())
        engine.healthy = False
        answers = await asyncio.wait_for(asyncio.gather(*asking), 20)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len(second.requests()) == 2


async def test_what_waits_on_the_only_engine_when_it_is_lost_fails_soon(gateway: Gateway, engine: FakeVllm) -> None:
    gateway.state.pool._interval = 0.05
    client = await gateway.tenant("kestrel")
    engine.script(faults.hang())
    asking = asyncio.create_task(client.post(CHAT, json=ASK))
    await until(lambda: engine.requests())
    engine.rule = lambda received: faults.status(503) if received.path == HEALTH else None
    answer = await asyncio.wait_for(asking, 20)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_operators_times_hold(settings: Settings, engine: FakeVllm) -> None:
    async with running(settings.model_copy(update={"engine_first_byte_seconds": 0.3})) as hasty:
        client = await hasty.tenant("kestrel")
        engine.script(faults.hang())
        answer = await client.post(CHAT, json=ASK)
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "engine_timeout"


async def test_an_engine_that_restarted_unseen_gets_the_adapter_again_and_answers(
    gateway: Gateway, engine: FakeVllm, settings: Settings
) -> None:
    model = "ft:base:kestrel:style:1"
    client = await gateway.tenant("kestrel")
    await add_adapter(settings, model)
    assert (await client.post(CHAT, json={**ASK, "model": model})).status_code == 200
    engine.adapters = {}  # as after a restart that no health check has seen
    answer = await client.post(CHAT, json={**ASK, "model": model})
    assert answer.status_code == 200, answer.text
    assert len(engine.requests(LOAD)) == 2


@pytest.mark.parametrize("trouble", [faults.status(503), faults.status(429), "gone"])
async def test_where_no_engine_began_to_work_every_one_that_is_left_is_asked(
    settings: Settings, engine: FakeVllm, trouble: faults.Fault | str
) -> None:
    async with FakeVllm() as second, FakeVllm() as third:
        urls = (engine.url, second.url, third.url)
        async with running(settings.model_copy(update={"engine_urls": urls})) as three:
            await until(lambda: all(replica.ready for replica in three.state.pool.replicas))
            client = await three.tenant("kestrel")
            for replica in three.state.pool.replicas:  # so that the last is asked last, and nobody looks meanwhile
                replica.last_turn = three.state.pool.replicas.index(replica) + 1
            three.state.pool._interval = 60
            for bad in (engine, second):
                if isinstance(trouble, faults.Fault):
                    bad.script(trouble)
                else:
                    await bad.stop()
            answer = await client.post(CHAT, json=ASK)
            assert answer.status_code == 200, answer.text
            assert len(third.requests()) == 1


async def test_what_may_be_a_request_s_own_fault_is_asked_of_two_engines_and_no_more(
    settings: Settings, engine: FakeVllm
) -> None:
    async with FakeVllm() as second, FakeVllm() as third:
        urls = (engine.url, second.url, third.url)
        async with running(settings.model_copy(update={"engine_urls": urls})) as three:
            await until(lambda: all(replica.ready for replica in three.state.pool.replicas))
            client = await three.tenant("kestrel")
            for one in (engine, second, third):
                one.rule = lambda received: faults.status(500) if received.path == CHAT else None
            assert (await client.post(CHAT, json=ASK)).status_code == 502
            assert sum(len(one.requests()) for one in (engine, second, third)) == 2


async def test_an_engine_that_is_well_and_never_answers_is_soon_asked_last(
    settings: Settings, engine: FakeVllm
) -> None:
    async with two_replicas(settings, engine) as (two, _):
        client = await two.tenant("kestrel")
        engine.rule = lambda received: faults.status(500) if received.path == CHAT else None
        answers = [await client.post(CHAT, json=ASK) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert len(engine.requests()) == 3
        assert two.state.pool.replicas[0].ready


async def test_an_engine_that_is_well_and_never_begins_is_asked_last_after_three_that_waited_in_vain(
    settings: Settings, engine: FakeVllm
) -> None:
    async with two_replicas(settings.model_copy(update={"engine_first_byte_seconds": 1.5}), engine) as (two, second):
        client = await two.tenant("kestrel")
        engine.rule = lambda received: faults.hang() if received.path == CHAT else None
        with capture_logs() as lines:
            answers = [await client.post(CHAT, json=ASK) for _ in range(12)]
        assert [answer.status_code for answer in answers].count(504) == 3
        assert [line["in_a_row"] for line in lines if line["event"] == "replica_failed_before_first_byte"] == [1, 2, 3]
        assert len(second.requests()) == 9
        assert two.state.pool.replicas[0].ready


PAGE = b"<html>Down for maintenance</html>"
FACES = [
    faults.body(PAGE, "text/html"),
    faults.body(b""),
    faults.body(b"", "text/event-stream"),
    *map(faults.status, (302, 401, 403, 404)),
]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_stands_before_an_engine_and_does_not_let_it_answer_is_another_replicas_turn(
    settings: Settings, engine: FakeVllm, face: faults.Fault, stream: bool
) -> None:
    async with two_replicas(settings, engine) as (two, second):
        client = await two.tenant("kestrel")
        engine.rule = lambda received: face if received.path == CHAT else None
        answers = [await client.post(CHAT, json={**ASK, "stream": stream}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len(second.requests()) == 2


async def test_a_head_without_an_answer_from_an_engine_that_is_lost_is_another_replicas_turn(
    settings: Settings, engine: FakeVllm
) -> None:
    async with (
        FakeVllm() as second,
        running(settings.model_copy(update={"engine_urls": (engine.url, second.url)})) as two,
    ):
        two.state.pool._interval = 0.05
        await until(lambda: all(replica.ready for replica in two.state.pool.replicas))
        client = await two.tenant("kestrel")
        engine.rule = lambda received: faults.head() if received.path == CHAT else None
        asking = [asyncio.create_task(client.post(CHAT, json=ASK)) for _ in range(2)]
        await until(lambda: engine.requests())
        engine.healthy = False
        answers = await asyncio.wait_for(asyncio.gather(*asking), 20)
        assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("stream", [True, False])
async def test_what_an_engine_quotes_of_a_client_reaches_no_log(
    gateway: Gateway, engine: FakeVllm, capfd: pytest.CaptureFixture[str], stream: bool
) -> None:
    client = await gateway.tenant("kestrel")
    ask = {"model": "base", "messages": [{"role": "user", "content": "my PIN is 4711"}], "stream": stream}
    quoting = faults.status(500, "can't handle 'my PIN is 4711'"), faults.body(b"can't handle 'my PIN is 4711'")
    for fault in quoting:
        engine.script(fault)
        assert (await client.post(CHAT, json=ask)).status_code == 502
    logged = "".join(capfd.readouterr())
    assert "replica_failed_before_first_byte" in logged
    assert "4711" not in logged
