"""One connection of the client: many calls at once, each with its own queue of replies."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw

from retrieval.errors import (
    DocumentUnreadable,
    IndexChanged,
    IndexFull,
    IndexSilent,
    IndexUnavailable,
    InvalidFilter,
    InvalidVisibility,
    RetrieverBusy,
    RetrieverError,
    RetrieverFailed,
    RetrieverSilent,
    RetrieverUnavailable,
    StaleWriter,
    TextTooLong,
)
from retrieval.frames import CANCEL, Call, Failure, FrameInvalid, Reply, encode_frame, read_frame
from retrieval.messages import IngestProgress
from retrieval.patience import Patience

__all__ = ["ClientConnection"]


_ERRORS: dict[str, type[RetrieverError]] = {
    error.code: error
    for error in (
        IndexChanged,
        IndexFull,
        IndexSilent,
        IndexUnavailable,
        InvalidFilter,
        InvalidVisibility,
        RetrieverBusy,
        RetrieverSilent,
        RetrieverUnavailable,
        StaleWriter,
        TextTooLong,
    )
}


class ClientConnection:
    """A connection that a `Retriever` owns. Once `closed` it stays so: the owner opens another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._queues: dict[int, asyncio.Queue[Reply | None]] = {}
        self._replies = asyncio.create_task(self._receive(), name="retriever replies")
        self.closed = False

    async def call(
        self,
        method: str,
        body: object,
        *,
        silence: float,
        progress: Callable[[IngestProgress], None] | None = None,
        cause: str = "",
    ) -> Raw:
        """Make one call; `silence` is the number of seconds to wait for each reply, not for the whole.

        `cause` is the id of what it is made for.

        Raises:
            RetrieverUnavailable: The connection went away.
            RetrieverSilent: Nothing came within `silence`.
            RetrieverError: The retriever's own error, as the same class that it raised there.
        """
        if self.closed:
            raise _went_away(method)
        id_ = next(self._ids)
        queue: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._queues[id_] = queue
        finished = False
        try:
            await self._send(Call(id_, method, Raw(msgspec.msgpack.encode(body)), cause))
            while True:
                reply = await _next_reply(queue, method, silence)
                if reply.kind == "progress":
                    if progress is not None:
                        progress(msgspec.msgpack.decode(reply.body, type=IngestProgress))
                    continue
                finished = True
                if reply.kind == "error":
                    raise _to_error(msgspec.msgpack.decode(reply.body, type=Failure))
                return reply.body
        finally:
            del self._queues[id_]
            if not finished and not self.closed and not self._writer.is_closing():
                # Written without a wait: this also runs while the caller is being cancelled.
                self._writer.write(encode_frame(Call(id_, CANCEL, Raw(msgspec.msgpack.encode(None)))))

    async def close(self) -> None:
        self._replies.cancel()
        with suppress(asyncio.CancelledError):
            await self._replies
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _send(self, call: Call) -> None:
        if self._writer.is_closing():  # a transport of uvloop's refuses to be written to then
            raise _went_away(call.method)
        self._writer.write(encode_frame(call))
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise _went_away(call.method) from error

    async def _receive(self) -> None:
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Reply)
        try:
            while (frame := await read_frame(self._reader)) is not None:
                reply: Reply = decoder.decode(frame)
                if (queue := self._queues.get(reply.id)) is not None:
                    queue.put_nowait(reply)
        except (FrameInvalid, msgspec.DecodeError):
            pass  # Not our peer, or out of step with it: the same as gone.
        finally:
            self.closed = True
            for queue in self._queues.values():
                queue.put_nowait(None)


async def _next_reply(queue: asyncio.Queue[Reply | None], method: str, silence: float) -> Reply:
    try:
        async with Patience(silence):
            reply = await queue.get()
    except TimeoutError as error:
        raise RetrieverSilent(
            f"The retriever gave no sign for {silence:g} s during '{method}'. It is overloaded or stuck: "
            "try again, and look at its log if it stays so."
        ) from error
    if reply is None:
        raise _went_away(method)
    return reply


def _went_away(method: str) -> RetrieverUnavailable:
    return RetrieverUnavailable(
        f"The retriever went away during '{method}'. Its supervisor restarts it: try again in a few seconds."
    )


def _to_error(failure: Failure) -> RetrieverError:
    match failure.code:
        case "unsupported_file" | "invalid_file" | "empty_file" as code:
            return DocumentUnreadable(code, failure.message)
        case code:
            return _ERRORS.get(code, RetrieverFailed)(failure.message)
