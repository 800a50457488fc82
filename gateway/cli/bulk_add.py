"""Many files into a store: streamed, several at once, and not again what the store has."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway.client import Client, GatewayError
from gateway.client.documents import put_document, wait_for_document
from gateway.task_group import await_each
from gateway.terminal import open_console, say

__all__ = ["BulkAdd", "RepeatedSentences", "describe_chunks", "sum_up"]

_AT_ONCE = 8
_PART_BYTES = 256 * 1024
_LONG = 80
"""Characters of a sentence that a reader doesn't want twice."""
_OF_ONE_FILE = frozenset({400, 413})
"""Statuses that say something of the file, not of the key, the store or the gateway."""


class RepeatedSentences:
    """The long sentences that end messages about several files, each of which is told once."""

    def __init__(self) -> None:
        self._endings: set[str] = set()

    def drop(self, message: str) -> str:
        """Return a message without its last sentence, where that is long and was told before."""
        before, gap, last = message.rpartition(". ")
        if not gap or len(last) < _LONG:
            return message
        if last in self._endings:
            return f"{before}."
        self._endings.add(last)
        return message


class BulkAdd:
    """Puts files into one store, and shows how far it is.

    What is there already is known by the SHA-256 of the bytes, so that a run that was stopped is gone on with by the
    same again. One file that is refused, or can't be read here, doesn't stop the others.
    """

    def __init__(self, client: Client, store: str, *, quiet: bool = False) -> None:
        self._client = client
        self._quiet = quiet
        self._store = store
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._before: dict[str, dict[str, Any]] = {}
        self._bulk = False

    async def add(self, files: Mapping[str, Path]) -> list[dict[str, Any]]:
        """Add files by their documents' keys.

        Returns:
            The state of each, as the API has it, with `sent`: false where the store had it.
        """
        rows = self._client.read_rows(f"/api/vector_stores/{self._store}/documents")
        self._before = {row["key"]: row async for row in rows if row["key"] in files}
        self._bulk = len(files) > _AT_ONCE
        sentences = RepeatedSentences()
        bar = _open_bar() if sys.stderr.isatty() and not self._quiet else None
        with bar or nullcontext():
            task = bar.add_task("adding", total=len(files)) if bar else TaskID(0)

            async def put(file: tuple[str, Path]) -> dict[str, Any]:
                key, path = file
                row = await self.put(key, path)
                if bar:
                    bar.advance(task)
                worth_a_line = row["error"] or row["warnings"] or row.get("waits_for")
                if row["sent"] and not self._quiet and (bar is None or worth_a_line):
                    (bar.console.print if bar else say)(f"{key}: {sentences.drop(_describe(row))}")
                return row

            try:
                return await await_each(put, files.items())
            except asyncio.CancelledError:
                if not self._quiet:
                    say("Stopped. The same command goes on from there: what the store has by then isn't sent again.")
                raise
            finally:
                self._bulk = False  # what is put one by one from here on was saved just now

    async def put(self, key: str, path: Path) -> dict[str, Any]:
        """Put one file, unless the store had it as it is when `add` looked; return what `add` says of it."""
        async with self._free:
            return await self._put(key, path, self._before.pop(key, None))

    async def _put(self, key: str, path: Path, before: dict[str, Any] | None) -> dict[str, Any]:
        try:
            if before is not None and before["status"] in ("completed", "in_progress"):
                if before["sha256"] == await asyncio.to_thread(_digest, path):
                    state = before
                    if before["status"] == "in_progress":
                        state = await wait_for_document(self._client, self._store, key)
                    return {**state, "embedded": 0, "sent": False}
            row = await put_document(self._client, self._store, key, _parts(path), bulk=self._bulk)
        except GatewayError as error:
            if error.status not in _OF_ONE_FILE:
                raise
            refused = {"code": error.code, "message": str(error)}
        except OSError as error:  # gone since it was listed, or not this user's to read
            refused = {"code": "unreadable_file", "message": f"{path} can't be read: {error.strerror}."}
        else:
            return {**row, "sent": True}
        nothing = dict.fromkeys(("version", "chunks", "embedded"), 0)
        return {"key": key, "status": "failed", **nothing, "error": refused, "warnings": [], "sent": True}


def sum_up(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say of some documents what was embedded and what there was already."""
    sent_rows = [row for row in rows if row["sent"]]
    embedded = sum(row["embedded"] for row in sent_rows)
    reused = sum(row["chunks"] for row in sent_rows) - embedded
    return (
        f"Documents: {len(sent_rows)} sent, {len(rows) - len(sent_rows)} there already. "
        f"Chunks of those sent: {embedded} embedded, {reused} reused."
    )


def describe_chunks(row: Mapping[str, Any]) -> str:
    """Say of a document that is live how much of it had to be embedded."""
    chunks, embedded = row["chunks"], row["embedded"]
    return f"chunks: {embedded} embedded, {chunks - embedded} reused"


def _describe(row: Mapping[str, Any]) -> str:
    if row["error"]:
        return row["error"]["message"]
    waits = f"in_progress: {row['waits_for']}" if row.get("waits_for") else row["status"]
    return " ".join([waits, *row["warnings"]])


def _open_bar() -> Progress:
    return Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=open_console(),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _parts(path: Path) -> AsyncGenerator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while part := await asyncio.to_thread(file.read, _PART_BYTES):
            yield part
    finally:
        file.close()
