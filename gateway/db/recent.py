"""Values read from the database a moment ago, for a path that can't read them anew each time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.db.database import Database

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_SECONDS = 1.0
_ENTRIES = 4096


class Recent(Generic[Key, Value]):
    """Remembers values until this process writes anything that could change them, and for a second at most.

    So a write of this process is seen by its next read, and one of another process within a second. What many ask for
    at once is read once. The value that wasn't asked for for the longest time makes room for a new one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: OrderedDict[Key, tuple[int, float, Value]] = OrderedDict()
        self._reading: dict[Key, tuple[int, asyncio.Task[Value | None]]] = {}

    async def read(self, key: Key, reader: Callable[[], Coroutine[Any, Any, Value | None]]) -> Value | None:
        """Return the value, by `reader` where it isn't known; None from it is an answer that isn't remembered.

        Raises:
            Exception: What `reader` raises.
        """
        revision, now = self._database.revision, time.monotonic()
        entry = self._entries.get(key)
        if entry is not None and entry[0] == revision and entry[1] >= now:
            self._entries.move_to_end(key)
            return entry[2]
        reading = self._reading.get(key)
        if reading is None or reading[0] != revision:
            task = asyncio.create_task(reader())
            reading = self._reading[key] = revision, task
            task.add_done_callback(partial(self._keep, key, revision, now + _SECONDS))
        return await asyncio.shield(reading[1])

    def _keep(self, key: Key, revision: int, until: float, task: asyncio.Task[Value | None]) -> None:
        if self._reading.get(key, (0, None))[1] is task:
            del self._reading[key]
        if task.cancelled() or task.exception() is not None:
            return
        value = task.result()
        if value is not None and revision == self._database.revision:
            self._entries[key] = revision, until, value
            self._entries.move_to_end(key)
            if len(self._entries) > _ENTRIES:
                self._entries.popitem(last=False)
