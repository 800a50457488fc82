"""The parser child of one document, from its start to the verdict on how it ended."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.parsers.parsed import Parsed, ParseLimits, Unreadable

__all__ = ["ParseLimits", "parse"]

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 5.0
_REAP_SECONDS = 10.0
_log = logging.getLogger(__name__)


async def parse(path: Path, filename: str, limits: ParseLimits | None = None) -> Parsed:
    """Parse one document in a process of its own, by its content, not by `filename`.

    Raises:
        DocumentUnreadable: It isn't text, or a limit or a crash ended the child.
        RetrieverFailed: The file can't be opened.
    """
    limits = limits or ParseLimits()
    status, output, errors = await _run(path, filename, limits)
    if status == 0:
        try:
            outcome = msgspec.msgpack.decode(output, type=Parsed | Unreadable)
        except msgspec.DecodeError:
            _log.warning("a parser child answered %d bytes of nonsense", len(output))
        else:
            if isinstance(outcome, Parsed):
                for warning in outcome.warnings:
                    _log.warning("of %r: %s", filename, warning)
                return outcome
            raise DocumentUnreadable(outcome.code, outcome.message)
    _log.warning("a parser child ended with status %s: %s", status, errors.decode(errors="replace")[-2000:])
    raise DocumentUnreadable("invalid_file", _explain_status(status, limits))


async def _run(path: Path, filename: str, limits: ParseLimits) -> tuple[int | None, bytes, bytes]:
    try:
        document = path.open("rb")
    except OSError as error:
        raise RetrieverFailed(
            f"The document's bytes can't be opened at {path}: {error.strerror}. The retriever must see the same "
            "files as its caller."
        ) from error
    with document:
        starting = asyncio.create_task(_start(document, filename, limits))
        try:
            process = await asyncio.shield(starting)
            async with asyncio.timeout(limits.wall_seconds + _GRACE_SECONDS):
                output, errors = await process.communicate()
            return process.returncode, output, errors
        except TimeoutError:
            return -signal.SIGALRM, b"", b""
        finally:
            # Also of one whose caller was cancelled while it started: asyncio would kill the child alone, and then
            # wait for the processes that it has started.
            process = await starting
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await _reap(process)


async def _start(document: BinaryIO, filename: str, limits: ParseLimits) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "retrieval.parsers.child",
        filename.replace("\0", ""),
        msgspec.json.encode(limits).decode(),
        stdin=document,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        # Nothing of this process's environment: it may hold secrets.
        env={"PYTHONPATH": str(_PACKAGE_ROOT), "LANG": "C.UTF-8"},
        start_new_session=True,
    )


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a killed child; not for good, since asyncio waits for the end of its pipes as well."""
    try:
        async with asyncio.timeout(_REAP_SECONDS):
            await process.wait()
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
