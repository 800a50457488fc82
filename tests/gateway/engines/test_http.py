"""The client against servers that send raw bytes, good and bad, on both event loops."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.engines import Connections, EngineTimeout, EngineUnreachable, Stream
from gateway.engines.http import Connection, Origin
from tests.waiting import until

JSON = b'{"answer": "forty-two"}'
FIXED = b"HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n" + JSON
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED = CHUNKED_HEAD + b"9;x=y\r\n" + JSON[:9] + b"\r\nE\r\n" + JSON[9:] + b"\r\n0\r\nx-trailer: 1\r\n\r\n"
OPEN_ENDED = b"HTTP/1.1 200 OK\r\n\r\n" + JSON


class Visit:
    """One connection to the server: what has been asked on it, and whether it is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()

    async def asked(self) -> bytes:
        """Return the next request as it came; raises `IncompleteReadError` when the client has left."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        request = head + await self.reader.readexactly(int(length or 0))
        self.requests.append(request)
        return request

    async def say(self, *pieces: bytes) -> None:
        """Send pieces that arrive one by one."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.001)


Talk = Callable[[Visit], Awaitable[None]]


class Server:
    """Does what `talk` says on each connection, then closes it."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.visits: list[Visit] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        try:
            await self._talk(visit)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            visit.gone.set()
            writer.close()


@asynccontextmanager
async def serving(talk: Talk, host: str = "127.0.0.1") -> AsyncGenerator[Server]:
    server = Server(talk)
    listening = await asyncio.start_server(server.serve, host, 0)
    name = f"[{host}]" if ":" in host else host
    server.url = f"http://{name}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for visit in server.visits:
            visit.writer.transport.abort()
        await until(lambda: all(visit.gone.is_set() for visit in server.visits))


def answers(*pieces: bytes) -> Talk:
    """The same answer to each request, for as long as the client stays."""

    async def talk(visit: Visit) -> None:
        while await visit.asked():
            await visit.say(*pieces)

    return talk


def once(*pieces: bytes) -> Talk:
    """One answer, then the connection is closed."""

    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(*pieces)

    return talk


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections() as opened:
        yield opened


async def send(
    origin: Origin, method: str = "POST", body: bytes | None = b"{}", first_byte: float = 5.0, gap: float = 5.0
) -> Stream:
    return await origin.request(method, "/ask", body, connect=5, first_byte=first_byte, gap=gap)


async def ask(origin: Origin, method: str = "POST", **times: float) -> bytes:
    answer = await send(origin, method, b"{}" if method == "POST" else None, **times)
    try:
        return await answer.read()
    finally:
        await answer.aclose()


async def test_a_request_has_its_path_host_and_length_on_the_wire(connections: Connections) -> None:
    async with serving(answers(FIXED)) as server:
        origin = connections.make_origin(f"{server.url}/a/prefix?key=1")
        await (await origin.request("POST", "/ask", b'{"a": 1}', connect=5, first_byte=5, gap=5)).read()
        await (await origin.request("GET", "/ask", connect=5, first_byte=5, gap=5)).read()
        host = server.url.removeprefix("http://").encode()
        assert server.visits[0].requests == [
            b"POST /a/prefix/ask?key=1 HTTP/1.1\r\nhost: " + host + b"\r\naccept: */*\r\n"
            b'content-type: application/json\r\ncontent-length: 8\r\n\r\n{"a": 1}',
            b"GET /a/prefix/ask?key=1 HTTP/1.1\r\nhost: " + host + b"\r\naccept: */*\r\n\r\n",
        ]
        await (await origin.request("GET", "/ask", connect=5, first_byte=5, gap=5, request_id="req_1-2")).read()
        assert server.visits[0].requests[-1].endswith(b"\r\nx-request-id: req_1-2\r\n\r\n")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://a", "http://", "http://a:99999", "http://a b", "http://me:secret@a", "http://a\r\n"],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Connections().make_origin(url)


async def test_headers_and_status_are_read(connections: Connections) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n"
    async with serving(answers(head)) as server:
        answer = await send(connections.make_origin(server.url))
        assert answer.status == 302
        assert answer.headers == {"location": "/b", "set-cookie": "a=1, b=2", "content-length": "0"}
        assert await answer.read() == b""
        assert len(server.visits[0].requests) == 1


@pytest.mark.parametrize("answer", [FIXED, CHUNKED], ids=["fixed", "chunked"])
async def test_a_connection_is_used_again(connections: Connections, answer: bytes) -> None:
    async with serving(answers(answer)) as server:
        origin = connections.make_origin(server.url)
        for _ in range(3):
            assert await ask(origin) == JSON
        assert len(server.visits) == 1
        both = await asyncio.gather(ask(origin), ask(origin))
        assert both == [JSON, JSON]
        assert len(server.visits) == 2


async def test_small_packets_go_without_delay_and_a_host_that_is_gone_is_noticed(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[int] = []

    class Watched(Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            peer = transport.get_extra_info("socket")
            options.append(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            options.append(peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                options.append(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    monkeypatch.setattr("gateway.engines.http.Connection", Watched)
    async with serving(answers(FIXED)) as server:
        await ask(connections.make_origin(server.url))
    assert options[:2] == [1, 1]
    assert options[2:] in ([], [25_000])


async def test_an_engine_may_have_an_ipv6_address(connections: Connections) -> None:
    try:
        async with serving(answers(FIXED), "::1") as server:
            assert await ask(connections.make_origin(server.url)) == JSON
            assert b"host: [::1]:" in server.visits[0].requests[0]
    except OSError:
        pytest.skip("no IPv6 here")


async def test_a_connection_that_the_server_closed_is_not_used(connections: Connections) -> None:
    async with serving(once(FIXED)) as server:
        origin = connections.make_origin(server.url)
        for count in range(1, 4):
            assert await ask(origin) == JSON
            await asyncio.wait_for(server.visits[-1].gone.wait(), 30)
            await asyncio.sleep(0.02)
            assert len(server.visits) == count


async def test_an_old_connection_is_closed_and_not_used() -> None:
    async with Connections(idle_seconds=0.1) as connections, serving(answers(FIXED)) as server:
        origin = connections.make_origin(server.url)
        await asyncio.gather(ask(origin), ask(origin))
        await asyncio.wait_for(asyncio.gather(*(visit.gone.wait() for visit in server.visits)), 30)
        assert await ask(origin) == JSON
        assert len(server.visits) == 3


async def test_an_old_connection_is_not_used_before_it_is_swept(connections: Connections) -> None:
    async with serving(answers(FIXED)) as server:
        origin = connections.make_origin(server.url)
        await ask(origin)
        connections.idle_seconds = 0.01
        await asyncio.sleep(0.05)
        await ask(origin)
        assert len(server.visits) == 2
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


async def test_bytes_that_nobody_asked_for_close_a_connection(connections: Connections) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(FIXED)
        await asyncio.sleep(0.05)
        await visit.say(FIXED)
        await visit.asked()

    async with serving(talk) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)
        assert await ask(origin) == JSON
        assert len(server.visits) == 2
        assert len(server.visits[0].requests) == 1


@pytest.mark.parametrize("extra", [b"x", b"H", FIXED, b"\0"], ids=["letter", "beginning", "answer", "zero"])
@pytest.mark.parametrize("answer", [FIXED, CHUNKED], ids=["fixed", "chunked"])
async def test_bytes_behind_an_answer_close_its_connection(
    connections: Connections, answer: bytes, extra: bytes
) -> None:
    async with serving(answers(answer + extra)) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        assert await ask(origin) == JSON
        assert len(server.visits) == 2


@pytest.mark.parametrize(
    "answer",
    [
        FIXED.replace(b"\r\n", b"\r\nconnection: close\r\n", 1),
        CHUNKED.replace(b"\r\n", b"\r\nConnection: Close\r\n", 1),
        FIXED.replace(b"1.1", b"1.0"),
    ],
)
async def test_a_connection_that_ends_with_its_answer_is_not_used(connections: Connections, answer: bytes) -> None:
    async with serving(answers(answer)) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        assert await ask(origin) == JSON
        assert len(server.visits) == 2


@pytest.mark.parametrize("answer", [FIXED, CHUNKED], ids=["fixed", "chunked"])
async def test_an_answer_in_two_pieces_is_read_whole(connections: Connections, answer: bytes) -> None:
    cuts = iter(range(1, len(answer)))

    async def talk(visit: Visit) -> None:
        while await visit.asked():
            cut = next(cuts)
            await visit.say(answer[:cut], answer[cut:])

    async with serving(talk) as server:
        origin = connections.make_origin(server.url)
        for _ in range(1, len(answer)):
            assert await ask(origin) == JSON
        assert len(server.visits) == 1


@pytest.mark.parametrize("answer", [FIXED, CHUNKED], ids=["fixed", "chunked"])
async def test_an_answer_byte_by_byte_is_read_whole(connections: Connections, answer: bytes) -> None:
    async with serving(answers(*(answer[at : at + 1] for at in range(len(answer))))) as server:
        assert await ask(connections.make_origin(server.url)) == JSON


@pytest.mark.parametrize(
    "answer",
    [
        OPEN_ENDED,
        OPEN_ENDED.replace(b"1.1", b"1.0"),
        OPEN_ENDED.replace(b"\r\n", b"\r\ntransfer-encoding: gzip\r\n", 1),
    ],
    ids=["1.1", "1.0", "other encoding"],
)
async def test_a_body_is_read_until_the_connection_closes(connections: Connections, answer: bytes) -> None:
    async with serving(once(answer[:30], answer[30:])) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        assert await ask(origin) == JSON
        assert len(server.visits) == 2


@pytest.mark.parametrize(
    ("sent", "phase"),
    [
        (b"", "answer"),
        (FIXED[:20], "answer"),
        (FIXED[: -len(JSON)], "answer"),
        (FIXED[:-1], "stream"),
        (CHUNKED_HEAD, "answer"),
        (CHUNKED[:80], "stream"),
        (CHUNKED[:-2], "stream"),
    ],
)
async def test_an_answer_that_is_cut(connections: Connections, sent: bytes, phase: str) -> None:
    async with serving(once(sent)) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await ask(connections.make_origin(server.url))
        assert caught.value.phase == phase
        assert server.url in caught.value.detail


async def test_a_body_until_the_end_that_is_reset(connections: Connections) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(OPEN_ENDED)
        linger = b"\1\0\0\0\0\0\0\0"
        visit.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        visit.writer.transport.abort()

    async with serving(talk) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await ask(connections.make_origin(server.url))
        assert caught.value.phase == "stream"


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 42\r\n\r\n",
        b"HTTP/1.1 042 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        CHUNKED_HEAD + b"no number\r\n",
        CHUNKED_HEAD + b"2\r\nabc\r\n0\r\n\r\n",
        CHUNKED_HEAD + b"fffffffffffffffff\r\n",
    ],
)
async def test_what_is_no_answer_is_refused(connections: Connections, sent: bytes) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(sent)
        await visit.asked()

    async with serving(talk) as server:
        origin = connections.make_origin(server.url)
        with pytest.raises(EngineUnreachable, match="can't be reached"):
            await ask(origin, first_byte=60, gap=60)
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2]
)
@pytest.mark.parametrize("apart", [False, True])
async def test_interim_answers_are_skipped(connections: Connections, interim: bytes, apart: bool) -> None:
    async with serving(answers(*([interim, FIXED] if apart else [interim + FIXED]))) as server:
        origin = connections.make_origin(server.url)
        answer = await send(origin)
        assert answer.status == 200
        assert "link" not in answer.headers
        assert await answer.read() == JSON
        assert await ask(origin) == JSON
        assert len(server.visits) == 1


async def endlessly(visit: Visit, begin: bytes, piece: bytes) -> None:
    await visit.asked()
    await visit.say(begin)
    while True:
        await visit.say(piece)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-more: " + b"y" * 1_000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-long: ", b"y" * 1_000),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40),
        (CHUNKED_HEAD + b"2;", b"y" * 1_000),
        (CHUNKED_HEAD + b"0\r\n", b"x-more: " + b"y" * 1_000 + b"\r\n"),
    ],
    ids=["headers", "one header", "interim answers", "chunk extension", "trailers"],
)
async def test_a_head_without_end_is_cut_off(connections: Connections, begin: bytes, piece: bytes) -> None:
    async with serving(lambda visit: endlessly(visit, begin, piece)) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await asyncio.wait_for(ask(connections.make_origin(server.url), first_byte=60, gap=60), 20)
        assert "bytes" in caught.value.detail
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


async def test_a_long_head_in_one_piece_is_refused(connections: Connections) -> None:
    lines = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1_000) for number in range(70))
    async with serving(answers(FIXED.replace(b"\r\n", b"\r\n" + lines, 1))) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await ask(connections.make_origin(server.url))
        assert "bytes" in caught.value.detail


async def test_a_head_may_be_long_and_a_body_longer(connections: Connections) -> None:
    body = b"y" * 3_000_000
    head = b"HTTP/1.1 200 OK\r\nx-long: " + b"y" * 50_000 + b"\r\ncontent-length: 3000000\r\n\r\n"
    async with serving(answers(head + body)) as server:
        assert await ask(connections.make_origin(server.url)) == body


async def test_a_slow_reader_holds_up_the_server_and_loses_nothing(connections: Connections) -> None:
    pieces = [bytes([number % 256]) * 65_536 for number in range(400)]
    sent: list[int] = []

    async def talk(visit: Visit) -> None:
        await visit.asked()
        visit.writer.write(CHUNKED_HEAD)
        for piece in pieces:
            visit.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await visit.writer.drain()
            sent.append(len(piece))
        visit.writer.write(b"0\r\n\r\n")
        await visit.asked()
        await visit.say(FIXED)

    async with serving(talk) as server:
        origin = connections.make_origin(server.url)
        answer = await send(origin, gap=0.2)
        assert (await anext(answer))[:1] == b"\0"
        await asyncio.sleep(0.25)  # longer than the engine may be silent
        count = len(sent)
        await asyncio.sleep(0.05)
        assert count == len(sent) < len(pieces), "the server waits, and the silence that we made isn't held against it"
        rest = b"".join([piece async for piece in answer])
        assert b"".join(pieces).endswith(rest)
        assert len(rest) > 20_000_000
        assert await ask(origin) == JSON
        assert len(server.visits) == 1


@pytest.mark.parametrize("size", [200_000, 300_000, 600_000])
async def test_answers_that_are_read_late(connections: Connections, size: int) -> None:
    body = b"y" * size
    async with serving(answers(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + body)) as server:
        origin = connections.make_origin(server.url)
        first, second = await send(origin), await send(origin)
        await asyncio.sleep(0.05)
        assert await first.read() == await second.read() == body
        for answer in first, second:
            await answer.aclose()
        before = len(server.visits)
        assert await asyncio.wait_for(asyncio.gather(ask(origin), ask(origin)), 5) == [body, body]
        assert len(server.visits) == max(before, 2)


async def test_a_limit_cuts_the_connection(connections: Connections) -> None:
    async with serving(answers(CHUNKED_HEAD + b"a\r\n0123456789\r\n")) as server:
        answer = await send(connections.make_origin(server.url))
        assert await answer.read_up_to(4) == b"0123"
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


@pytest.mark.parametrize("begun", [b"", CHUNKED_HEAD, CHUNKED[:80]], ids=["nothing", "head", "body"])
async def test_cancelling_closes_the_connection(connections: Connections, begun: bytes) -> None:
    async with serving(answers(begun)) as server:
        asking = asyncio.ensure_future(ask(connections.make_origin(server.url)))
        await until(lambda: server.visits and server.visits[0].requests)
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


async def test_closing_an_answer_closes_the_connection_and_wakes_its_reader(connections: Connections) -> None:
    async with serving(answers(CHUNKED[:80])) as server:
        answer = await send(connections.make_origin(server.url))
        await answer.start()
        reading = asyncio.ensure_future(answer.read())
        await asyncio.sleep(0.02)
        await answer.aclose()
        with pytest.raises(EngineUnreachable):
            await reading
        with pytest.raises(EngineUnreachable):
            await anext(answer)
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)


def dies_on_the_second(said: bytes = b"") -> Talk:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(FIXED)
        await visit.asked()
        await visit.say(said)

    return talk


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_on_a_connection_that_was_just_being_closed_is_sent_again(
    connections: Connections, method: str
) -> None:
    async with serving(dies_on_the_second()) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin, method) == JSON
        assert await ask(origin, method) == JSON
        assert [len(visit.requests) for visit in server.visits] == [2, 1]


async def test_nothing_else_is_sent_again(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(dies_on_the_second(b"HTTP/1.1 ")) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        with pytest.raises(EngineUnreachable):
            await ask(origin)
        assert len(server.visits) == 1, "an answer had begun"
    async with serving(once()) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await ask(connections.make_origin(server.url))
        assert caught.value.phase == "answer"
        assert len(server.visits) == 1, "the connection was a new one"
    monkeypatch.setattr("gateway.engines.http._STALE_SECONDS", 0.0)
    async with serving(dies_on_the_second()) as server:
        origin = connections.make_origin(server.url)
        assert await ask(origin) == JSON
        with pytest.raises(EngineUnreachable):
            await ask(origin)
        assert len(server.visits) == 1, "the connection had carried the request for a while"


async def test_an_answer_before_the_request_was_taken_ends_the_connection(connections: Connections) -> None:
    over = asyncio.Event()

    async def talk(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.say(FIXED)
        await over.wait()

    async with serving(talk) as server:
        origin = connections.make_origin(server.url)
        for _ in range(2):
            answer = await send(origin, body=b" " * 30_000_000)
            assert await answer.read() == JSON
        assert len(server.visits) == 2
        over.set()


@pytest.mark.parametrize(
    ("begin", "piece"),
    [(b"", b""), (b"HTTP/1.1 200 OK\r\nx: ", b"y"), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), (CHUNKED_HEAD, b"")],
    ids=["silence", "slow head", "interim answers", "head"],
)
async def test_the_first_bytes_have_a_time(connections: Connections, begin: bytes, piece: bytes) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(begin)
        while True:
            await visit.say(piece)
            await asyncio.sleep(0.05)

    async with serving(talk) as server:
        with pytest.raises(EngineTimeout) as caught:
            await asyncio.wait_for(ask(connections.make_origin(server.url), first_byte=0.3, gap=0.2), 30)
        assert caught.value.phase == "answer"
        assert "no answer within 0.3 s" in caught.value.detail
        server.visits[0].writer.transport.abort()


async def test_a_late_head_gives_the_body_no_more_time(connections: Connections) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await asyncio.sleep(1.9)
        await visit.say(CHUNKED_HEAD)
        await visit.asked()

    async with serving(talk) as server:
        started = time.monotonic()
        with pytest.raises(EngineTimeout):
            await ask(connections.make_origin(server.url), first_byte=2, gap=2)
        assert time.monotonic() - started < 3.8


async def test_silence_after_a_late_beginning_times_out(connections: Connections) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await asyncio.sleep(0.08)
        await visit.say(CHUNKED[:80])
        await visit.asked()

    async with serving(talk) as server:
        with pytest.raises(EngineTimeout) as caught:
            await asyncio.wait_for(ask(connections.make_origin(server.url), first_byte=60, gap=0.05), 30)
        assert caught.value.phase == "stream"


async def test_a_steady_body_may_take_longer_than_any_wait(connections: Connections) -> None:
    async def talk(visit: Visit) -> None:
        await visit.asked()
        await visit.say(CHUNKED_HEAD)
        for _ in range(10):
            await asyncio.sleep(0.05)
            await visit.say(b"1\r\ny\r\n")
        await visit.say(b"0\r\n\r\n")
        await visit.asked()

    async with serving(talk) as server:
        assert await ask(connections.make_origin(server.url), first_byte=0.4, gap=0.4) == b"y" * 10


async def test_the_end_closes_what_is_open() -> None:
    async with serving(answers(CHUNKED[:80])) as server:
        async with Connections() as connections:
            origin = connections.make_origin(server.url)
            running = await send(origin)
            await running.start()
            reading = asyncio.ensure_future(running.read())
            await asyncio.sleep(0)
        with pytest.raises(EngineUnreachable):
            await reading
        await asyncio.wait_for(server.visits[0].gone.wait(), 30)
        with pytest.raises(RuntimeError, match="closed"):
            await send(origin)
