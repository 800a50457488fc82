"""What the command line says when the other side isn't a Braid gateway."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.cli.client import Gateway, GatewayError
from gateway.cli.exits import CliError, Exit

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(response: bytes) -> AsyncGenerator[Gateway]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Gateway(f"http://127.0.0.1:{port}", "key", timeout=5) as gateway:
        yield gateway


async def read(gateway: Gateway) -> None:
    async with gateway.stream("/v1/chat/completions", {}) as events:
        async for event in events:
            assert event == {"choices": []}


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "exit"),
    [
        ("400 Bad Request", Exit.FAILED),
        ("401 Unauthorized", Exit.DENIED),
        ("403 Forbidden", Exit.DENIED),
        ("404 Not Found", Exit.NOT_FOUND),
        ("409 Conflict", Exit.CONFLICT),
        ("503 Service Unavailable", Exit.UNREACHABLE),
    ],
)
async def test_each_status_has_its_exit(status: str, exit: Exit) -> None:
    body = b'{"error": {"message": "Because.", "type": "x", "param": null, "code": "why"}}'
    async with answering(http(status, body)) as gateway:
        with pytest.raises(GatewayError, match=r"Because\.") as caught:
            await gateway.get("/v1/models")
    assert caught.value.exit is exit
    assert caught.value.code == "why"


async def test_another_servers_error_page_is_no_envelope() -> None:
    async with answering(http("404 Not Found", b"<html>nginx</html>", "text/html")) as gateway:
        with pytest.raises(GatewayError, match="Is this the address of a Braid gateway"):
            await gateway.get("/v1/models")


async def test_another_servers_page_is_no_answer() -> None:
    async with answering(http("200 OK", b"<html>welcome</html>", "text/html")) as gateway:
        with pytest.raises(CliError, match="no JSON"):
            await gateway.get("/v1/models")


async def test_a_stream_without_its_end_mark_broke_off() -> None:
    body = b'data: {"choices": []}\n\n'
    async with answering(http("200 OK", body, "text/event-stream")) as gateway:
        with pytest.raises(GatewayError, match="broke off"):
            await read(gateway)


async def test_an_error_event_ends_a_stream() -> None:
    body = (
        b'data: {"choices": []}\n\ndata: {"error": {"message": "The engine died.", "code": "stream_interrupted"}}\n\n'
    )
    async with answering(http("200 OK", body, "text/event-stream")) as gateway:
        with pytest.raises(GatewayError, match="The engine died"):
            await read(gateway)
