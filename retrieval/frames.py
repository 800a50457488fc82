"""The frames between client and retriever: a length, then one MessagePack value.

A call carries an id chosen by the client, so many calls share a connection; its answer is any number of `progress`
replies and then one `result` or `error` with that id.
"""

import asyncio
import struct
from typing import Literal

import msgspec
from msgspec import Raw, Struct

__all__ = ["CANCEL", "FRAME_LIMIT", "Call", "Failure", "FrameInvalid", "Reply", "encode_frame", "read_frame"]

FRAME_LIMIT = 16 * 1024 * 1024
"""Bytes. The largest honest frame is 50 long passages: far below; a length above it is a broken or hostile peer."""

CANCEL = "cancel"
"""Pseudo-method: the caller of that id has gone; no reply."""

_LENGTH = struct.Struct(">I")


class FrameInvalid(Exception):
    """The peer doesn't speak this protocol; the connection is of no more use."""


class Call(Struct, frozen=True, array_like=True):
    """One call; `cause` is the id of what it is made for, which the lines that it logs have."""

    id: int
    method: str
    body: Raw
    cause: str = ""


class Reply(Struct, frozen=True, array_like=True):
    id: int
    kind: Literal["progress", "result", "error"]
    body: Raw


class Failure(Struct, frozen=True):
    """Body of an `error`: the `code` of the exception class it becomes again, and its sentence."""

    code: str
    message: str


def encode_frame(message: Call | Reply) -> bytes:
    """Encode one message with its length.

    Raises:
        FrameInvalid: The message is larger than `FRAME_LIMIT`.
    """
    body = msgspec.msgpack.encode(message)
    if len(body) > FRAME_LIMIT:
        raise FrameInvalid(f"A message of {len(body)} bytes is over the limit of {FRAME_LIMIT}; ask for less at once.")
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Read one message, or None when the peer closed the connection, also in the middle of a frame.

    Raises:
        FrameInvalid: The announced length is over the limit.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > FRAME_LIMIT:
            raise FrameInvalid(f"A frame of {length} bytes was announced; the limit is {FRAME_LIMIT}.")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
