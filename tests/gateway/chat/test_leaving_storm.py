"""Many clients that leave at once, in every way and at every point: all that they held comes back."""

import asyncio
import json
import socket
import struct
from typing import Any

import pytest

from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.waiting import until

CLIENTS = 40
ASK: dict[str, Any] = {"model": "base", "messages": [{"role": "user", "content": "How long?"}]}


async def _send(gateway: Gateway, key: str, body: dict[str, Any], path: str) -> asyncio.StreamWriter:
    host, port = gateway.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: here\r\nauthorization: {key}\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    return writer


def _leave(writer: asyncio.StreamWriter, way: int) -> None:
    if way == 0:
        writer.close()
    elif way == 1:
        writer.write_eof()
    else:  # a reset, as of a process that was killed with answers unread
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@pytest.mark.parametrize("fault", [faults.stall(), faults.hang()], ids=["in mid-answer", "before the first byte"])
async def test_what_clients_held_comes_back_when_all_leave_at_once(
    gateway: Gateway, engine: FakeVllm, fault: faults.Fault
) -> None:
    client = await gateway.tenant("kestrel")
    key = client.headers["authorization"]
    engine.script(*[fault] * CLIENTS)
    forms = [("/v1/chat/completions", {**ASK, "stream": number % 3 > 0}) for number in range(CLIENTS)]
    forms[::5] = [("/v1/responses", {"model": "base", "input": "How long?", "stream": True})] * len(forms[::5])
    writers = [await _send(gateway, key, body, path) for path, body in forms]
    await until(lambda: len(engine.requests()) == CLIENTS)
    state = gateway.state
    assert state.pool.list_states()[0].in_flight == CLIENTS
    for number, writer in enumerate(writers):
        _leave(writer, number % 3)
    await until(lambda: all(request.aborted is not None for request in engine.requests()))
    await until(lambda: not state.pool.list_states()[0].in_flight)
    await until(lambda: b"braid_chat_running 0" in state.metrics.render_text())
    await until(lambda: b'outcome="abandoned"} %d' % CLIENTS in state.metrics.render_text())
    answer = await client.post("/v1/chat/completions", json=ASK)
    assert answer.status_code == 200
    for writer in writers:
        writer.close()
