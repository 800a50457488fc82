import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from retrieval.client_connection import ClientConnection
from retrieval.errors import RetrieverUnavailable
from tests.retrieval.peer import Peer
from tests.waiting import until


async def connect(peer: Peer) -> ClientConnection:
    return ClientConnection(*await asyncio.open_unix_connection(str(peer.path)))


async def test_a_connection_that_the_peer_closed_takes_no_more_calls(peer: Peer) -> None:
    connection = await connect(peer)
    await until(lambda: peer.connections == 1)
    await peer.stop()
    await until(lambda: connection.closed)
    with pytest.raises(RetrieverUnavailable, match="went away during 'search'"):
        await connection.call("search", None, silence=60)
    await connection.close()
    await peer.start()


async def test_closing_ends_the_calls_that_wait(peer: Peer) -> None:
    connection = await connect(peer)
    call = asyncio.create_task(connection.call("search", None, silence=60))
    await until(lambda: len(peer.calls) == 1)
    await connection.close()
    with pytest.raises(RetrieverUnavailable, match="went away"):
        await call


async def test_a_peer_that_takes_nothing_and_dies_ends_the_call(peer: Peer) -> None:
    accepted, die = asyncio.Event(), asyncio.Event()

    async def take_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await die.wait()
        writer.transport.abort()

    path = peer.path.with_name("stalled.sock")
    async with await asyncio.start_unix_server(take_nothing, str(path)):
        connection = ClientConnection(*await asyncio.open_unix_connection(str(path)))
        call = asyncio.create_task(connection.call("search", "x" * 8_000_000, silence=60))
        await accepted.wait()
        assert not call.done()
        die.set()
        with pytest.raises(RetrieverUnavailable, match="went away during 'search'"):
            await call
        await connection.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_transport_that_has_just_closed_is_not_written_to(
    new_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def lose() -> None:
        peer = Peer(tmp_path / "peer.sock")
        await peer.start()
        connection = await connect(peer)
        call = asyncio.create_task(connection.call("search", None, silence=60))
        await until(lambda: len(peer.calls) == 1)
        connection._writer.transport.abort()
        assert not connection.closed, "nothing has been read from it yet"
        call.cancel()
        with pytest.raises(RetrieverUnavailable, match="went away during 'describe'"):
            await connection.call("describe", None, silence=60)
        with pytest.raises(asyncio.CancelledError):
            await call
        await connection.close()
        await peer.stop()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(lose())
