"""The fake engine stops as a killed process does, or what tests see after that would be about nothing."""

import asyncio
import socket
from contextlib import suppress

import pytest

from tests.fakes.vllm import FakeVllm

_QUESTION = b"GET /health HTTP/1.1\r\nhost: engine\r\n\r\n"


async def _ask(connection: socket.socket) -> bytes:
    """Return the beginning of what comes back; nothing where the connection was reset, or where nobody reads."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(1):
            await loop.sock_sendall(connection, _QUESTION)
            return await loop.sock_recv(connection, 100)
    return b""


def _connect(engine: FakeVllm) -> socket.socket:
    """Connect in one turn of the event loop: the system does it, before the server has accepted."""
    connection = socket.create_connection(("127.0.0.1", engine.port))
    connection.setblocking(False)
    return connection


@pytest.mark.parametrize("turns", range(8))
async def test_a_stopped_engine_answers_nobody_who_connected_meanwhile(turns: int) -> None:
    async with FakeVllm() as engine:
        with _connect(engine) as connection:
            for _ in range(turns):
                await asyncio.sleep(0)
            await engine.stop()
            assert await _ask(connection) == b""


async def test_an_engine_that_has_started_again_answers() -> None:
    async with FakeVllm() as engine:
        await engine.restart()
        with _connect(engine) as connection:
            assert (await _ask(connection)).startswith(b"HTTP/1.1 200")
