"""The parser child of one document, from its start to the verdict on how it ended."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.parsers.forked_children import CHILD_ENVIRONMENT
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits, Unreadable
from retrieval.patience import Patience

__all__ = ["ParseLimits", "ParserChild", "StartChild", "parse"]

_GRACE_SECONDS = 5.0
_REAP_SECONDS = 10.0
_log = logging.getLogger(__name__)


class ParserChild(Protocol):
    """A parser child, in a process group of its own."""

    @property
    def has_ended(self) -> bool: ...

    @property
    def returncode(self) -> int | None: ...

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it writes, output and errors, when it has ended."""
        ...

    async def wait(self) -> int | None: ...

    def kill(self) -> None:
        """Kill the child and its own children."""
        ...

    def close(self) -> None: ...


StartChild = Callable[[BinaryIO, str, ParseLimits], Awaitable[ParserChild]]
"""Starts the child of a document, which is read from its stdin."""


async def parse(
    path: Path, filename: str, limits: ParseLimits | None = None, *, start: StartChild | None = None
) -> ParsedDocument:
    """Parse one document in a process of its own, by its content, not by `filename`.

    Args:
        path: The document.
        filename: What its owner calls it.
        limits: What the process may use.
        start: Starts the process; by default an interpreter, which takes 0.15 s.

    Raises:
        DocumentUnreadable: It isn't text, or a limit or a crash ended the child.
        RetrieverFailed: The file can't be opened, or the child's end wasn't seen.
    """
    limits = limits or ParseLimits()
    status, output, errors = await _run(path, filename, limits, start or _start)
    if status is None:
        raise RetrieverFailed("The process that parsers are forked from has ended. Try again: it is started anew.")
    if status == 0:
        try:
            outcome = msgspec.msgpack.decode(output, type=ParsedDocument | Unreadable)
        except msgspec.DecodeError:
            _log.warning("a parser child answered %d bytes of nonsense", len(output))
        else:
            if isinstance(outcome, ParsedDocument):
                for warning in outcome.warnings:
                    _log.warning("of %r: %s", filename, warning)
                return outcome
            raise DocumentUnreadable(outcome.code, outcome.message)
    _log.warning("a parser child ended with status %s: %s", status, errors.decode(errors="replace")[-2000:])
    raise DocumentUnreadable("invalid_file", _explain_status(status, limits))


async def _run(path: Path, filename: str, limits: ParseLimits, start: StartChild) -> tuple[int | None, bytes, bytes]:
    try:
        document = path.open("rb")
    except OSError as error:
        raise RetrieverFailed(
            f"The document's bytes can't be opened at {path}: {error.strerror}. The retriever must see the same "
            "files as its caller."
        ) from error
    with document:
        starting = asyncio.ensure_future(start(document, filename.replace("\0", ""), limits))
        try:
            child = await asyncio.shield(starting)
            async with Patience(limits.wall_seconds + _GRACE_SECONDS):
                output, errors = await child.communicate()
            return child.returncode, output, errors
        except TimeoutError:
            return -signal.SIGALRM, b"", b""
        finally:
            # Also of one whose caller was cancelled while it started: asyncio would kill the child alone, and then
            # wait for the processes that it has started.
            child = await starting
            if not child.has_ended:
                child.kill()
                await _reap(child)
            child.close()


class _StartedChild:
    """A child that is an interpreter of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.communicate = process.communicate
        self.wait = process.wait

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        pass  # asyncio has closed its pipes


async def _start(document: BinaryIO, filename: str, limits: ParseLimits) -> ParserChild:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "retrieval.parsers.child",
        filename,
        msgspec.json.encode(limits).decode(),
        stdin=document,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env=CHILD_ENVIRONMENT,
        start_new_session=True,
    )
    return _StartedChild(process)


async def _reap(child: ParserChild) -> None:
    """Wait for a killed child; not for good, since asyncio waits for the end of its pipes as well."""
    try:
        async with asyncio.timeout(_REAP_SECONDS):
            await child.wait()
    except TimeoutError:
        _log.warning("a parser child was killed, and its end hasn't come in within %g s", _REAP_SECONDS)


def _explain_status(status: int | None, limits: ParseLimits) -> str:
    if status == -signal.SIGALRM:
        return f"Reading the file took longer than {limits.wall_seconds:g} s. Split it, or export it more simply."
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return (
            f"Reading the file took more than {limits.cpu_seconds} s of processor time, or the machine ran out of "
            "memory. Split it, or export it more simply."
        )
    return (
        f"The file ended its parser (status {status}): it is damaged, or needs more than "
        f"{limits.memory // 1024**2} MiB of memory. Export it again from where it was made, or split it."
    )
