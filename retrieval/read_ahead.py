"""Documents whose turn to be written hasn't come, read and embedded while the one before them is written.

Changes of a store run one after the other, and a document's text is read, embedded, written and published in turn: so
the embedder would stand still between two documents.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from retrieval.messages import IngestRequest
from retrieval.parsers import Parsed
from retrieval.points import ContextualChunk

__all__ = ["ReadAhead", "ReadDocument"]

_MOST = 8
"""Documents that are kept; one more, and the oldest is given up."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document's text and chunks; `vectors` has those of its digests that were embedded already."""

    parsed: Parsed
    chunks: list[ContextualChunk]
    vectors: dict[str, list[float]]


class ReadAhead:
    """Keeps a few documents that were read before they are ingested. What isn't there is read when it is needed.

    Args:
        read: Reads a document and embeds it.
    """

    def __init__(self, read: Callable[[IngestRequest], Awaitable[ReadDocument]]) -> None:
        self._read = read
        self._tasks: dict[tuple[object, ...], asyncio.Task[ReadDocument]] = {}

    def begin(self, request: IngestRequest) -> None:
        """Read a document, unless that has begun."""
        key = _identify(request)
        if key in self._tasks:
            return
        while len(self._tasks) >= _MOST:
            self._tasks.pop(next(iter(self._tasks))).cancel()
        self._tasks[key] = asyncio.ensure_future(self._read(request))

    async def take(self, request: IngestRequest) -> ReadDocument | None:
        """Return a document that was read ahead; None where it wasn't, or couldn't be: its own ingest says why."""
        task = self._tasks.pop(_identify(request), None)
        if task is None:
            return None
        try:
            return await task
        except Exception as error:
            _log.info("a document couldn't be read ahead: %s", error)
            return None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _identify(request: IngestRequest) -> tuple[object, ...]:
    """Return what decides a document's chunks, and whose it is."""
    place = (request.tenant, request.store, request.document, request.version, request.path, request.filename)
    return (*place, request.max_chunk_tokens, request.overlap_tokens)
