"""The client against a Braid gateway, and against servers that aren't one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway.client import Client, GatewayError, GatewayUnreachable
from gateway.openai_import.hosted_api import HostedApi
from tests.waiting import until

Answer = Callable[[str], bytes]


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def serving(answer: Callable[[str], Awaitable[bytes]], timeout: float = 5) -> AsyncGenerator[Client]:
    """A server whose responses depend on the request's target, and a client of it."""

    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(await answer(head.split()[1].decode()))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}", "key", timeout=timeout) as client:
        yield client
    await asyncio.gather(*connections)


@asynccontextmanager
async def answering(response: bytes) -> AsyncGenerator[Client]:
    async def answer(target: str) -> bytes:
        return response

    async with serving(answer) as client:
        yield client


async def read(client: Client) -> None:
    async with client.stream("/v1/chat/completions", {}) as events:
        async for event in events:
            assert event == {"choices": []}


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "409 Conflict", "503 Service Unavailable"]
)
async def test_an_error_has_its_status_message_and_code(status: str) -> None:
    body = b'{"error": {"message": "Because.", "type": "x", "param": null, "code": "why"}}'
    async with answering(http(status, body)) as client:
        with pytest.raises(GatewayError, match=r"Because\.") as caught:
            await client.get("/v1/models")
    assert caught.value.status == int(status.split()[0])
    assert caught.value.code == "why"


async def test_an_answer_without_a_body_is_none() -> None:
    async with answering(http("204 No Content", b"")) as client:
        assert await client.delete("/v1/files/file-1") is None


async def test_another_servers_error_page_is_no_envelope() -> None:
    async with answering(http("404 Not Found", b"<html>nginx</html>", "text/html")) as client:
        with pytest.raises(GatewayError, match="Is this the address of a Braid gateway"):
            await client.get("/v1/models")


async def test_another_servers_page_is_no_answer() -> None:
    async with answering(http("200 OK", b"<html>welcome</html>", "text/html")) as client:
        with pytest.raises(GatewayUnreachable, match="no JSON"):
            await client.get("/v1/models")


async def test_an_address_without_a_server_is_unreachable(unused_tcp_port: int) -> None:
    async with Client(f"http://127.0.0.1:{unused_tcp_port}", "key") as client:
        with pytest.raises(GatewayUnreachable, match="'braid up' starts a gateway here"):
            await client.get("/v1/models")
        with pytest.raises(GatewayUnreachable, match="can't be reached"):
            await read(client)


async def test_a_server_that_stays_silent_takes_too_long() -> None:
    async def never(target: str) -> bytes:
        await asyncio.sleep(0.5)
        return b""

    async with serving(never, timeout=0.1) as client:
        with pytest.raises(GatewayUnreachable, match="took too long"):
            await client.get("/v1/models")


async def test_rows_come_page_by_page() -> None:
    async def page(target: str) -> bytes:
        after = int(parse_qs(urlsplit(target).query).get("after", ["0"])[0])
        rows = [{"id": after + 1}, {"id": after + 2}]
        return http("200 OK", msgspec.json.encode({"data": rows, "last_id": after + 2, "has_more": after < 4}))

    async with serving(page) as client:
        assert [row["id"] async for row in client.read_rows("/v1/files")] == [1, 2, 3, 4, 5, 6]


async def test_an_error_instead_of_a_stream_is_raised() -> None:
    body = b'{"error": {"message": "Not here.", "code": "model_not_found"}}'
    async with answering(http("404 Not Found", body)) as client:
        with pytest.raises(GatewayError, match="Not here") as caught:
            await read(client)
    assert caught.value.code == "model_not_found"


async def test_a_stream_without_its_end_mark_broke_off() -> None:
    body = b'data: {"choices": []}\n\n'
    async with answering(http("200 OK", body, "text/event-stream")) as client:
        with pytest.raises(GatewayError, match="broke off"):
            await read(client)


async def test_comments_in_a_stream_are_passed_over() -> None:
    body = b': keep-alive\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n'
    async with answering(http("200 OK", body, "text/event-stream")) as client:
        await read(client)


async def test_an_error_event_ends_a_stream() -> None:
    body = (
        b'data: {"choices": []}\n\ndata: {"error": {"message": "The engine died.", "code": "stream_interrupted"}}\n\n'
    )
    async with answering(http("200 OK", body, "text/event-stream")) as client:
        with pytest.raises(GatewayError, match="The engine died"):
            await read(client)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("make", [Client, HostedApi])
async def test_a_command_that_is_interrupted_closes_all_its_connections(
    make: type[Client] | type[HostedApi], times: int
) -> None:
    """Also where Ctrl-C is pressed again while it does so."""
    opened: list[asyncio.StreamWriter] = []
    left: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: len(opened) == 6)  # so that each request has a connection of its own
        writer.write(http("200 OK", b'{"data": []}'))
        left.append(await reader.read())
        writer.close()

    async def use(port: int, answered: asyncio.Event) -> None:
        async with make(f"http://127.0.0.1:{port}", "key", timeout=5) as client:
            await asyncio.gather(*(ask(client) for _ in range(6)))
            answered.set()
            await asyncio.sleep(60)

    async def ask(client: Client | HostedApi) -> None:
        if isinstance(client, Client):
            await client.get("/")
        else:
            assert [row async for row in client.read_rows("/files", {}, None)] == []

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        answered = asyncio.Event()
        command = asyncio.create_task(use(server.sockets[0].getsockname()[1], answered))
        await answered.wait()
        for _ in range(times):
            command.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await command
        await until(lambda: len(left) == 6)
