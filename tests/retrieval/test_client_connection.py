import asyncio

import pytest

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
