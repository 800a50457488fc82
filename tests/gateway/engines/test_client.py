import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.engines import Connections, Engine, EngineRefused, EngineTimeout, EngineUnreachable, Timeouts
from gateway.engines import client as client_module
from gateway.engines.client import read_corrupted
from tests.fakes import faults
from tests.fakes.vllm import HEALTH, LOAD, MODELS, TOKENIZE, UNLOAD, FakeVllm
from tests.waiting import until


def ask(text: str = "Hello", **more: Any) -> bytes:
    return json.dumps({"model": "base", "messages": [{"role": "user", "content": text}], **more}).encode()


async def whole(engine: Engine, body: bytes) -> bytes:
    stream = await engine.chat(body)
    try:
        return b"".join([piece async for piece in stream])
    finally:
        await stream.aclose()


async def test_a_healthy_engine_lists_its_models(fake: FakeVllm, engine: Engine, tmp_path: Path) -> None:
    await engine.check_health()
    await engine.load_adapter("kestrel.style.0a1b2c3d", str(tmp_path))
    listing = await engine.list_models()
    assert listing.base_model == "base"
    assert listing.max_model_len == 4096
    assert listing.adapters == {"kestrel.style.0a1b2c3d": str(tmp_path)}


async def test_a_listing_that_is_too_long_to_read_is_refused_and_not_cut(
    fake: FakeVllm, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.adapters = {f"kestrel.style.{number:08x}": tmp_path for number in range(10)}
    size = len(await engine._control("GET", MODELS, None))
    monkeypatch.setattr(client_module, "_LISTING_BYTES", size)
    assert len((await engine.list_models()).adapters) == 10
    for limit in range(size - 40, size):  # also where the cut leaves JSON behind
        monkeypatch.setattr(client_module, "_LISTING_BYTES", limit)
        with pytest.raises(EngineRefused) as caught:
            await engine.list_models()
        assert f"/v1/models is longer than {limit} bytes, and nothing of it was read" in caught.value.reason


async def test_an_unhealthy_engine_refuses(fake: FakeVllm, engine: Engine) -> None:
    fake.healthy = False
    with pytest.raises(EngineRefused) as caught:
        await engine.check_health()
    assert caught.value.engine_status == 503


async def test_load_and_unload_are_idempotent(fake: FakeVllm, engine: Engine, tmp_path: Path) -> None:
    await engine.load_adapter("style", str(tmp_path))
    await engine.load_adapter("style", str(tmp_path))
    assert len(fake.requests(LOAD)) == 2
    await engine.unload_adapter("style")
    await engine.unload_adapter("style")
    assert fake.adapters == {}
    assert len(fake.requests(UNLOAD)) == 2


async def test_a_name_taken_by_other_bytes_is_refused(fake: FakeVllm, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    await engine.load_adapter("style", str(tmp_path / "one"))
    with pytest.raises(EngineRefused, match="server refused") as caught:
        await engine.load_adapter("style", str(tmp_path / "two"))
    assert "already been loaded" in caught.value.reason
    assert fake.adapters == {"style": tmp_path / "one"}


async def test_unload_that_fails_although_the_name_is_gone(fake: FakeVllm, engine: Engine, tmp_path: Path) -> None:
    fake.script(faults.status(500, "lora was evicted"), faults.status(500), path=UNLOAD)
    await engine.unload_adapter("style")
    await engine.load_adapter("style", str(tmp_path))
    with pytest.raises(EngineRefused):
        await engine.unload_adapter("style")


async def test_loading_a_folder_that_is_not_there_is_refused(engine: Engine) -> None:
    with pytest.raises(EngineRefused) as caught:
        await engine.load_adapter("style", "/nowhere/style")
    assert caught.value.engine_status == 404
    assert "(NotFoundError)" in caught.value.detail
    assert "No adapter found" in caught.value.reason


async def test_an_engine_counts_tokens(engine: Engine) -> None:
    assert await engine.tokenize("base", "Two words.") == 3
    assert await engine.tokenize("base", "") == 0


async def test_a_prompt_is_counted_with_its_template(fake: FakeVllm, engine: Engine) -> None:
    body = ask(max_tokens=3)
    assert await engine.count_prompt("base", body) > await engine.tokenize("base", "")
    (request,) = [one for one in fake.requests(TOKENIZE) if "messages" in one.json]
    assert set(request.json) == {"messages", "model"}


async def test_logprobs_are_those_of_the_adapter(fake: FakeVllm, engine: Engine, tmp_path: Path) -> None:
    await engine.load_adapter("style", str(tmp_path))
    tokens = [5, 6, 7, 7, 9]
    assert await engine.measure_logprobs("style", tokens, 2) == pytest.approx(fake.logprobs("style", tokens)[2:])
    assert await engine.measure_logprobs("base", tokens, 1) == pytest.approx(fake.logprobs(None, tokens)[1:])
    assert fake.logprobs("style", tokens) != fake.logprobs(None, tokens)


async def test_plain_chat_is_passed_on_as_bytes(fake: FakeVllm, engine: Engine) -> None:
    body = ask("What is it?")
    stream = await engine.chat(body)
    assert stream.status == 200
    answer = json.loads(await stream.read())
    await stream.aclose()
    assert answer["choices"][0]["message"]["content"] == "The engine heard: What is it?"
    assert fake.requests()[0].body == body


async def test_a_stream_arrives_byte_for_byte(fake: FakeVllm, engine: Engine) -> None:
    plain = await whole(engine, ask("What is it?", stream=True))
    fake.script(faults.drip())
    dripped = await whole(engine, ask("What is it?", stream=True))
    events = [json.loads(line[6:]) for line in plain.split(b"\n\n") if line.startswith(b"data: {")]
    assert "".join(e["choices"][0]["delta"]["content"] for e in events) == "The engine heard: What is it?"
    assert plain.endswith(b"data: [DONE]\n\n")
    identity = json.loads(plain.split(b"\n\n")[0][6:])["id"].encode()
    assert dripped.replace(json.loads(dripped.split(b"\n\n")[0][6:])["id"].encode(), identity) == plain


async def test_headers_come_before_the_answer(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.stall(after=0))
    stream = await asyncio.wait_for(engine.chat(ask(stream=True)), 2)
    assert stream.headers["content-type"].startswith("text/event-stream")
    await stream.aclose()


async def test_waiting_for_the_first_bytes_loses_none(fake: FakeVllm, engine: Engine) -> None:
    stream = await engine.chat(ask(stream=True))
    await stream.start()
    await stream.start()
    text = b"".join([piece async for piece in stream])
    await stream.aclose()
    assert text.startswith(b'data: {"id"')
    assert text.endswith(b"data: [DONE]\n\n")
    plain = await engine.chat(ask())
    await plain.start()
    assert json.loads(await plain.read())["object"] == "chat.completion"
    await plain.aclose()


async def test_a_death_between_headers_and_first_bytes_shows_at_the_start(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.cut(after=0))
    with pytest.raises(EngineUnreachable) as caught:
        await (await engine.chat(ask(stream=True))).start()
    assert caught.value.phase == "answer"


async def test_closing_a_stream_aborts_upstream(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.stall(after=1))  # it never ends by itself
    stream = await engine.chat(ask(stream=True))
    async for _ in stream:
        break
    assert fake.requests()[0].aborted is None
    await stream.aclose()
    await asyncio.wait_for(fake.requests()[0].gone.wait(), 5)
    assert fake.requests()[0].aborted is not None


async def test_cancelling_a_plain_request_aborts_upstream(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.hang())
    asking = asyncio.ensure_future(engine.chat(ask()))
    await until(fake.requests)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(fake.requests()[0].gone.wait(), 1)


async def test_a_finished_stream_gives_its_connection_back(fake: FakeVllm, engine: Engine) -> None:
    connections = set()
    for _ in range(3):
        await whole(engine, ask(stream=True))
        connections |= fake._connections
    assert len(connections) == 1


@pytest.mark.parametrize("fault", [faults.cut(2), faults.bad_chunk(2), faults.cut(0), faults.bad_chunk(0)])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_body_is_a_fault_of_the_engine(
    fake: FakeVllm, engine: Engine, fault: faults.Fault, stream: bool
) -> None:
    fake.script(fault)
    with pytest.raises(EngineUnreachable) as caught:
        await whole(engine, ask(stream=stream))
    assert caught.value.phase == "stream" or not fault.after


async def test_a_reset_before_the_answer_is_a_fault_of_the_engine(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.refuse())
    with pytest.raises(EngineUnreachable) as caught:
        await engine.chat(ask())
    assert caught.value.phase == "answer"
    assert caught.value.status == 503
    assert "127.0.0.1" not in caught.value.message
    assert len(fake.requests()) == 1, "the client doesn't retry"


async def test_where_nobody_listens_no_engine_is_reached(fake: FakeVllm, engine: Engine) -> None:
    await fake.stop()
    with pytest.raises(EngineUnreachable) as caught:
        await engine.chat(ask())
    assert caught.value.phase == "connect"
    with pytest.raises(EngineUnreachable):
        await engine.check_health()


async def test_an_answer_without_a_first_byte_times_out(fake: FakeVllm, hasty: Engine) -> None:
    fake.script(faults.hang())
    with pytest.raises(EngineTimeout) as caught:
        await hasty.chat(ask())
    assert caught.value.phase == "answer"
    assert caught.value.status == 504


async def test_headers_without_a_first_event_time_out(fake: FakeVllm, hasty: Engine) -> None:
    fake.script(faults.stall(after=0))
    with pytest.raises(EngineTimeout):
        await whole(hasty, ask(stream=True))


async def test_silence_in_mid_stream_times_out(fake: FakeVllm, impatient: Engine) -> None:
    fake.script(faults.stall(after=2))
    with pytest.raises(EngineTimeout, match=r"in time.*max_tokens") as caught:
        await asyncio.wait_for(whole(impatient, ask(stream=True)), 10)
    assert caught.value.phase == "stream"
    assert "silent for 0.2 s" in caught.value.detail


async def test_time_in_which_this_process_stands_still_is_no_silence() -> None:
    """As where its container is paused: what the engine said meanwhile waits to be read.

    Nothing is slept for beside that pause, so that a machine that halts by itself has no time to do it in.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        await over.wait()
        writer.write(b"b")
        writer.close()

    gap, over = 2.0, asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Connections(idle_seconds=1) as connections:
        engine = Engine(url, connections, Timeouts(connect=60, first_byte=60, gap=gap, control=60, load=60))
        stream = await engine.chat(ask(stream=True))
        assert await anext(stream) == b"a"
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        time.sleep(gap + 1.5)  # noqa: ASYNC251
        over.set()
        assert await reading == b"b"
        await stream.aclose()


async def test_an_engine_that_is_silent_is_given_up_also_where_every_check_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.engines.stream._LATE_SECONDS", 0.05)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Connections(idle_seconds=1) as connections:
        engine = Engine(url, connections, Timeouts(connect=5, first_byte=30, gap=0.02, control=5, load=5))
        reading = asyncio.create_task(whole(engine, ask(stream=True)))
        for _ in range(20):
            time.sleep(0.2)  # noqa: ASYNC251
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert reading.done()
        with pytest.raises(EngineTimeout):
            await reading
        over.set()


async def test_a_slow_reader_is_no_silence(fake: FakeVllm, impatient: Engine) -> None:
    stream = await impatient.chat(ask(" ".join(["word"] * 200), stream=True))
    pieces: list[bytes] = []
    async for piece in stream:
        if len(pieces) < 2:
            await asyncio.sleep(0.25)  # longer than the engine may be silent
        pieces.append(piece)
    await stream.aclose()
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")


async def test_an_unroutable_address_times_out_in_connecting(connections: Connections) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):
            engine = Engine(f"http://127.0.0.1:{address[1]}", connections, Timeouts(0.2, 2, 2, 2, 2))
            filling = [asyncio.ensure_future(engine.check_health()) for _ in range(6)]
            results = await asyncio.gather(*filling, return_exceptions=True)
    # It wasn't heard, so another replica may be asked.
    assert all(isinstance(result, EngineUnreachable) and result.phase == "connect" for result in results)


async def test_a_refusal_carries_the_engines_words(fake: FakeVllm, engine: Engine) -> None:
    with pytest.raises(EngineRefused) as caught:
        await engine.chat(ask(model="nobody"))
    assert caught.value.engine_status == 404
    assert "(NotFoundError)" in caught.value.detail
    assert caught.value.engine_param == "model"
    assert "nobody" not in caught.value.message


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_status_is_a_refusal_with_a_short_reason(fake: FakeVllm, engine: Engine, status: int) -> None:
    fake.script(faults.status(status, "x" * 1_000_000))
    with pytest.raises(EngineRefused) as caught:
        await engine.chat(ask())
    assert caught.value.engine_status == status
    assert len(caught.value.reason) <= 2_000


@pytest.mark.parametrize("said", [b"<html>Welcome</html>", b'{"data": [{"id": "\xff"}]}', b'{"x": ' + b"[" * 100_000])
async def test_something_that_is_no_vllm(fake: FakeVllm, engine: Engine, said: bytes) -> None:
    fake.script(faults.body(said), path=MODELS)
    with pytest.raises(EngineRefused) as caught:
        await engine.list_models()
    assert "isn't what vLLM sends" in caught.value.reason


async def test_a_huge_line_is_just_bytes(fake: FakeVllm, engine: Engine) -> None:
    fake.script(faults.huge_line(3_000_000))
    assert len(await whole(engine, ask(stream=True))) > 3_000_000


async def test_control_calls_have_their_own_short_timeout(fake: FakeVllm, hasty: Engine) -> None:
    fake.script(faults.hang(), path=HEALTH)
    with pytest.raises(EngineTimeout):
        await hasty.check_health()


def test_a_gap_longer_than_the_wait_for_the_first_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="gap timeout"):
        Timeouts(first_byte=1, gap=2)


def test_requests_without_numbers_are_counted_over_all_cores_of_an_engine() -> None:
    text = b"""# HELP vllm:corrupted_requests_total Corrupted requests, in terms of total number of requests with NaNs.
# TYPE vllm:corrupted_requests_total counter
vllm:corrupted_requests_total{engine="0",model_name="a b"} 2.0
vllm:corrupted_requests_total{engine="1",model_name="a b"} 1e+03
vllm:corrupted_requests_created{engine="0",model_name="a b"} 1.79e+09
vllm:num_requests_running{engine="0",model_name="a b"} 7.0
"""
    assert read_corrupted(text) == 1002
    assert read_corrupted(b"vllm:num_requests_running 7.0\n") is None
