"""The index's own records, kept among its points: which index it is, and who may change a store."""

import asyncio
import logging
import uuid
from typing import Any

from retrieval.backends import RECORDS, IndexBackend, KeywordVector, Point
from retrieval.errors import IndexChanged, IndexUnavailable, StaleWriter
from retrieval.filter_expressions import Between, Match
from retrieval.identity import IndexIdentity
from retrieval.messages import Writer
from retrieval.visibility import Visibility

__all__ = ["IndexRecords"]

_log = logging.getLogger(__name__)

_IDENTITY = "identity"
_POINTS = uuid.UUID("2d0c1f3e-4f55-4a61-9b1d-7c53e8f6a0b4")
_NO_KEYWORDS = KeywordVector([], [])


class IndexRecords:
    """Records of one index, each a point under a name; they go where the points go, and are lost with them.

    A worker that was frozen for longer than its lease and wakes up doesn't know that another one has changed its store
    since; what it still sends would delete points that readers see. So every writer has a fence, the highest one of
    each store is kept here, and a smaller one is refused (`admit`).

    What was read is remembered, but where other processes write the same points: they may have made the index anew
    since, and admitted other writers.
    """

    def __init__(self, backend: IndexBackend, embedder: str, keywords: str, dimensions: int) -> None:
        self._backend = backend
        self._embedder = embedder
        self._keywords = keywords
        self._dense = [1.0] + [0.0] * (dimensions - 1)
        self._identity: IndexIdentity | None = None
        self._identifying = asyncio.Lock()
        self._fences: dict[tuple[str, str], int] = {}

    async def identify(self) -> IndexIdentity:
        """Return the index's identity; a new index is given one."""
        if self._identity is not None:
            return self._identity
        async with self._identifying:
            if self._identity is None:
                id = await self._read_id()
                if id is None:
                    await self._backend.add(self._make_point(_IDENTITY, {"id": uuid.uuid4().hex[:16]}))
                    id = await self._read_id()  # of several that saw none the first one's
                if id is None:
                    raise IndexUnavailable("The index was lost in the moment in which it was made. Try again.")
                self._identity = IndexIdentity(self._embedder, self._keywords, id)
            return self._identity

    async def renew(self) -> None:
        """See whether another process has made the index anew since its identity was read."""
        last = self._identity
        if not self._backend.is_shared or last is None:
            return
        if await self._read_id() != last.id and self._identity is last:
            _log.warning("the index was made anew by another process")
            self._identity = None

    async def compare_anew(self, indexes: list[str]) -> None:
        """Compare as `compare` does, with what is there now: for a caller that found nothing."""
        await self.renew()
        await self.compare(indexes)

    async def admit(self, tenant: str, store: str, writer: Writer | None) -> None:
        """Let a writer change a store; the caller holds the store's change lock.

        Raises:
            IndexChanged: The writer means another index.
            StaleWriter: A later one has been admitted to the store.
        """
        if writer is None:
            return
        await self.compare([writer.index])
        name = f"{tenant}/{store}"
        fence = None if self._backend.is_shared else self._fences.get((tenant, store))
        if fence is None:
            fence = await self._read_fence(name)
            if not fence:  # nobody has written, or what was written is lost
                await self.compare_anew([writer.index])
        if writer.fence > fence:
            await self._backend.add(self._make_point(name, {"fence": writer.fence}), Between("fence", lt=writer.fence))
            # Of several at this moment the highest stays.
            fence = await self._read_fence(name) if self._backend.is_shared else writer.fence
        if writer.fence < fence:
            raise StaleWriter(
                f"Another worker has begun to change the store {store!r} since this one did (fence {fence}, here "
                f"{writer.fence}). Its job is the other one's now: leave it."
            )
        self._fences[tenant, store] = writer.fence

    async def compare(self, indexes: list[str]) -> None:
        """Raise `IndexChanged` unless all the identities are this index's."""
        present = await self.identify()
        if any(index != str(present) for index in indexes):
            await self.renew()
            present = await self.identify()
        for index in indexes:
            if index != str(present):
                raise IndexChanged(IndexIdentity.parse(index).describe_change(present))

    async def _read_id(self) -> str | None:
        record = await self._read(_IDENTITY)
        return None if record is None else record["id"]

    async def _read_fence(self, name: str) -> int:
        record = await self._read(name)
        return 0 if record is None else record["fence"]

    async def _read(self, name: str) -> dict[str, Any] | None:
        record = Visibility(RECORDS, Match("store", (name,)))
        candidates = await self._backend.search(record, record, self._dense, _NO_KEYWORDS, 1)
        return candidates[0].payload if candidates else None

    def _make_point(self, name: str, values: dict[str, Any]) -> Point:
        payload = {"tenant": RECORDS, "store": name, "document": "", "digest": "", **values}
        return Point(str(uuid.uuid5(_POINTS, name)), self._dense, _NO_KEYWORDS, payload)
