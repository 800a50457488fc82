"""Documents whose turn to be written hasn't come, read and embedded while the one before them is written.

Changes of a store run one after the other, and a document's text is read, embedded, written and published in turn: so
the embedder would stand still between two documents.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from retrieval.messages import IngestRequest
from retrieval.parsers import ParsedDocument
from retrieval.points import ContextualChunk

__all__ = ["ReadAhead", "ReadDocument"]

_MOST = 8
"""Documents that are kept. Others aren't read ahead: where many stores are written by turns, those that came last would
push out, read for nothing, the ones whose turn comes first."""

_FORGET_SECONDS = 60.0
"""After which one that nobody took gives up its place: it was replaced, or its job was cancelled."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    document: "asyncio.Task[ReadDocument]"
    begun_at: float


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document's text and chunks; `vectors` has those of its digests that were embedded already."""

    document: ParsedDocument
    chunks: list[ContextualChunk]
    vectors: dict[str, list[float]]


class ReadAhead:
    """Keeps a few documents that were read before they are ingested. What isn't there is read when it is needed.

    Args:
        read: Reads a document and embeds it.
    """

    def __init__(self, read: Callable[[IngestRequest], Awaitable[ReadDocument]]) -> None:
        self._read = read
        self._readings: dict[tuple[object, ...], _Reading] = {}

    def begin(self, request: IngestRequest) -> None:
        """Read a document, unless that has begun, or enough others wait for their turn."""
        key, now = _identify(request), asyncio.get_running_loop().time()
        if key in self._readings:
            return
        oldest = next(iter(self._readings.items()), None)
        if len(self._readings) >= _MOST and oldest is not None and now - oldest[1].begun_at > _FORGET_SECONDS:
            self._readings.pop(oldest[0]).document.cancel()
        if len(self._readings) < _MOST:
            self._readings[key] = _Reading(asyncio.ensure_future(self._read(request)), now)

    async def take(self, request: IngestRequest) -> ReadDocument | None:
        """Return a document that was read ahead; None where it wasn't, or couldn't be: its own ingest says why."""
        reading = self._readings.pop(_identify(request), None)
        if reading is None:
            return None
        try:
            return await reading.document
        except Exception as error:
            _log.info("a document couldn't be read ahead: %s", error)
            return None

    def keep(self, request: IngestRequest, document: ReadDocument) -> None:
        """Keep a document that couldn't be written for its next turn, unless enough others are kept."""
        if len(self._readings) < _MOST:
            loop = asyncio.get_running_loop()
            self._readings[_identify(request)] = _Reading(loop.create_task(_return(document)), loop.time())

    async def close(self) -> None:
        tasks = [reading.document for reading in self._readings.values()]
        self._readings.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _return(document: ReadDocument) -> ReadDocument:
    return document


def _identify(request: IngestRequest) -> tuple[object, ...]:
    """Return what decides a document's chunks, and whose it is."""
    place = (request.tenant, request.store, request.document, request.version, request.path, request.filename)
    return (*place, request.max_chunk_tokens, request.overlap_tokens)
