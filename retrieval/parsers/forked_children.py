"""Parser children that are forked from one process, and that process's start and end."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from retrieval.parsers.parsed_document import ParseLimits

__all__ = [
    "CHILD_ENVIRONMENT",
    "DESCRIPTORS",
    "LONGEST_MESSAGE",
    "ChildExit",
    "ForkedChild",
    "ForkedChildren",
    "Kill",
    "Start",
]

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]

CHILD_ENVIRONMENT = {"PYTHONPATH": str(_PACKAGE_ROOT), "LANG": "C.UTF-8"}
"""Nothing of this process's environment: it may hold secrets."""

DESCRIPTORS = 3
"""That come with `Start`: the document, and where a child's output and errors go."""

LONGEST_MESSAGE = 64 * 1024


class Start(msgspec.Struct, tag="start", frozen=True):
    """The order to fork a child for a document; `number` names it in what follows."""

    number: int
    filename: str
    limits: ParseLimits


class Kill(msgspec.Struct, tag="kill", frozen=True):
    """The order to kill a child and its own children, unless it has ended."""

    number: int


class ChildExit(msgspec.Struct, tag="ended", frozen=True):
    """A child's exit status, or the negative number of the signal that ended it."""

    number: int
    status: int


class ForkedChild:
    """One child, as `asyncio.subprocess.Process` has it; its exit status is None where nobody could see it end."""

    def __init__(self, server: "_Server", number: int, output: BinaryIO, errors: BinaryIO) -> None:
        self._server = server
        self._number = number
        self._pipes = (output, errors)

    @property
    def returncode(self) -> int | None:
        future = self._server.exits[self._number]
        return future.result() if future.done() else None

    @property
    def has_ended(self) -> bool:
        return self._server.exits[self._number].done()

    async def communicate(self) -> tuple[bytes, bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                output, errors = [group.create_task(_read(pipe)) for pipe in self._pipes]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        await self.wait()
        return output.result(), errors.result()

    async def wait(self) -> int | None:
        return await asyncio.shield(self._server.exits[self._number])

    def kill(self) -> None:
        """Kill the child and its own children."""
        self._server.kill(self._number)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._server.exits.pop(self._number, None)


class ForkedChildren:
    """Starts children; the process that they are forked from is started with the first, and again if it has died."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._starting = asyncio.Lock()

    async def start(self, document: BinaryIO, filename: str, limits: ParseLimits) -> ForkedChild:
        """Start the child of a document.

        Raises:
            OSError: No process could be started.
        """
        async with self._starting:
            if self._server is None or self._server.is_dead:
                await self.close()
                self._server = await _Server.start()
            server = self._server
        return await server.fork(document, filename, limits)

    async def close(self) -> None:
        """End the process; children that still run go on to their own end."""
        if self._server is not None:
            await self._server.close()
            self._server = None


class _Server:
    """The process that forks, at the other end of `channel`."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.exits: dict[int, asyncio.Future[int | None]] = {}
        self.is_dead = False
        self._process = process
        self._channel = channel
        self._number = 0
        asyncio.get_running_loop().add_reader(channel, self._receive)

    @classmethod
    async def start(cls) -> "_Server":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "retrieval.parsers.fork_server"),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    cwd="/",
                    env=CHILD_ENVIRONMENT,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        return cls(process, ours)

    async def fork(self, document: BinaryIO, filename: str, limits: ParseLimits) -> ForkedChild:
        self._number += 1
        number = self._number
        self.exits[number] = asyncio.get_running_loop().create_future()
        output, output_end = os.pipe()
        errors, errors_end = os.pipe()
        child = ForkedChild(self, number, os.fdopen(output, "rb"), os.fdopen(errors, "rb"))
        try:
            message = msgspec.msgpack.encode(Start(number, filename, limits))
            descriptors = [document.fileno(), output_end, errors_end]
            # In a thread: it waits where the other end is slow to read.
            await asyncio.to_thread(socket.send_fds, self._channel, [message], descriptors)
        except OSError:
            self._die()  # Its end may be known here before the reader hears of it.
        finally:
            os.close(output_end)
            os.close(errors_end)
        return child

    def kill(self, number: int) -> None:
        if not self.is_dead:
            self._channel.send(msgspec.msgpack.encode(Kill(number)))

    async def close(self) -> None:
        self._die()
        self._channel.close()
        await self._process.wait()

    def _receive(self) -> None:
        try:
            message = self._channel.recv(LONGEST_MESSAGE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._die()
            return
        child_exit = msgspec.msgpack.decode(message, type=ChildExit)
        future = self.exits.get(child_exit.number)
        if future is not None and not future.done():
            future.set_result(child_exit.status)

    def _die(self) -> None:
        """Let nobody wait for what will not be heard any more."""
        if self.is_dead:
            return
        self.is_dead = True
        asyncio.get_running_loop().remove_reader(self._channel)
        for future in self.exits.values():
            if not future.done():
                future.set_result(None)


async def _read(pipe: BinaryIO) -> bytes:
    """Read a pipe to its end."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.read()
    finally:
        transport.close()
