"""The retriever's socket: many connections, many calls on each."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from retrieval.errors import RetrieverError, RetrieverFailed
from retrieval.frames import CANCEL, Call, Failure, FrameInvalid, Reply, encode_frame, read_frame
from retrieval.index import Index, Report
from retrieval.log_lines import note_cause
from retrieval.messages import (
    ContentRequest,
    CopyRequest,
    DocumentsReference,
    EmbedRequest,
    HoldRequest,
    IngestProgress,
    IngestRequest,
    ParseRequest,
    SearchQuery,
    StoreAtIndexEpoch,
    StoreReference,
)

__all__ = ["SocketUnusable", "claim_socket", "serve"]

_Body = TypeVar("_Body")
_Handler = Callable[[Raw, Report], Awaitable[object]]
_DRAIN_SECONDS = 3.0
_SEARCH = "search"
_READS = (_SEARCH, "embed", "read_content")
_log = logging.getLogger(__name__)


class SocketUnusable(Exception):
    """The socket can't be opened at that path."""


class _CallerGone(Exception):
    """Nobody waits for this call any more."""


async def serve(index: Index, path: Path, stop: asyncio.Event) -> None:
    """Answer at `path` until `stop`; then short calls may finish, and ingests end at their next step.

    Raises:
        SocketUnusable: The path is too long, or another retriever answers there.
    """
    listener = _listen(path)
    connections: set[_ServerConnection] = set()

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _ServerConnection(index, reader, writer)
        connections.add(connection)
        try:
            await connection.serve()
        finally:
            connections.discard(connection)

    server = await asyncio.start_unix_server(serve_client, sock=listener)
    try:
        await stop.wait()
    finally:
        server.close()
        path.unlink(missing_ok=True)
        ends = await asyncio.gather(*(one.finish() for one in list(connections)), return_exceptions=True)
        for end in ends:  # of all connections, also where one couldn't be finished
            if isinstance(end, BaseException):
                raise end


def _listen(path: Path) -> socket.socket:
    """Bind the socket so that only its owner can connect, from its first moment on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        claim_socket(path)
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise SocketUnusable(
            f"No socket can be opened at {path}: {error}. Give a short path in a folder of yours."
        ) from error
    except SocketUnusable:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def claim_socket(path: Path) -> None:
    """Remove the socket that a killed retriever left.

    Raises:
        SocketUnusable: A retriever answers there.
    """
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketUnusable(f"Another retriever answers at {path}. Stop it, or give another path.")


class _ServerConnection:
    """One client: its calls run at once, and their replies go out as they come."""

    def __init__(self, index: Index, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handlers = _make_handlers(index)
        self._reader = reader
        self._writer = writer
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._abandoned: set[int] = set()
        self._client_gone = False

    async def serve(self) -> None:
        """Take calls until the client leaves; a call that still runs then ends at its next report."""
        try:
            while (frame := await read_frame(self._reader)) is not None:
                call = msgspec.msgpack.decode(frame, type=Call)
                if call.method == CANCEL:
                    self._abandon(call.id)
                    continue
                task = asyncio.create_task(self._answer(call), name=f"{call.method} {call.id}")
                self._calls[call.id] = task
                task.add_done_callback(lambda _, id_=call.id: self._drop_call(id_))
        except (FrameInvalid, msgspec.DecodeError) as error:
            _log.warning("a client doesn't speak this protocol: %s", error)
        finally:
            self._client_gone = True
            for id_ in list(self._calls):
                self._abandon(id_)
            self._writer.close()

    async def finish(self) -> None:
        """Let short calls end, then close."""
        self._abandoned.update(self._calls)
        if self._calls:
            await asyncio.wait(list(self._calls.values()), timeout=_DRAIN_SECONDS)
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def _abandon(self, id_: int) -> None:
        """Let a call end that nobody waits for: one that only reads at once, a change at its next step."""
        task = self._calls.get(id_)
        if task is None:
            return
        self._abandoned.add(id_)
        if task.get_name().startswith(_READS):
            task.cancel()

    def _drop_call(self, id_: int) -> None:
        self._calls.pop(id_, None)
        self._abandoned.discard(id_)

    async def _answer(self, call: Call) -> None:
        note_cause(call.cause)

        async def report(progress: IngestProgress) -> None:
            if self._client_gone or call.id in self._abandoned:
                raise _CallerGone
            await self._send(call.id, "progress", progress)

        try:
            handler = self._handlers.get(call.method)
            if handler is None:
                raise RetrieverFailed(
                    f"The retriever knows no '{call.method}': its caller is of another version. Restart both."
                )
            await self._send(call.id, "result", await handler(call.body, report))
        except _CallerGone:
            _log.info("%s stopped: its caller has gone", call.method)
        except RetrieverError as error:
            await self._send(call.id, "error", Failure(error.code, str(error)))
        except Exception as error:
            _log.exception("%s failed", call.method)
            message = f"The retriever failed at '{call.method}': {type(error).__name__}: {error}. Its log has more."
            await self._send(call.id, "error", Failure(RetrieverFailed.code, message))

    async def _send(self, id_: int, kind: Any, body: object) -> None:
        if self._client_gone or self._writer.is_closing():
            return
        self._writer.write(encode_frame(Reply(id_, kind, Raw(msgspec.msgpack.encode(body)))))
        with suppress(ConnectionError):
            await self._writer.drain()


def _make_handlers(index: Index) -> dict[str, _Handler]:
    def on(body: type[_Body], work: Callable[[_Body, Report], Awaitable[object]]) -> _Handler:
        return lambda raw, report: work(msgspec.msgpack.decode(raw, type=body), report)

    return {
        "describe": on(type(None), lambda _, __: index.describe()),
        "read_queues": on(type(None), lambda _, __: index.read_queues()),
        _SEARCH: on(SearchQuery, lambda query, _: index.search(query)),
        "ingest": on(IngestRequest, index.ingest),
        "read_ahead": on(IngestRequest, lambda request, _: index.read_ahead(request)),
        "embed": on(EmbedRequest, lambda request, _: index.embed(request)),
        "read_content": on(ContentRequest, lambda request, _: index.read_content(request)),
        "parse": on(ParseRequest, lambda request, _: index.parse(request)),
        "hold": on(HoldRequest, lambda request, _: index.hold(request)),
        "copy": on(CopyRequest, lambda request, _: index.copy(request)),
        "resume": on(type(None), lambda _, __: index.resume()),
        "has_store": on(StoreReference, lambda b, _: index.has_store(b.tenant, b.store)),
        "remove_documents": on(
            DocumentsReference, lambda b, _: index.remove_documents(b.tenant, b.store, b.documents, b.index)
        ),
        "rollback": on(StoreAtIndexEpoch, lambda b, _: index.rollback(b.tenant, b.store, b.index_epoch, b.writer)),
        "collect_garbage": on(
            StoreAtIndexEpoch, lambda b, _: index.collect_garbage(b.tenant, b.store, b.index_epoch, b.writer)
        ),
        "drop_store": on(StoreReference, lambda b, _: index.drop_store(b.tenant, b.store, b.writer)),
    }
