"""Values read from the database a moment ago, for a path that can't read them anew each time."""

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gateway.db.database import Database

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_SECONDS = 1.0
_ENTRIES = 4096


class Recent(Generic[Key, Value]):
    """Remembers values until this process writes anything that could change them, and for a second at most.

    So a write of this process is seen by its next read, and one of another process within a second. The value that
    wasn't asked for for the longest time makes room for a new one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: OrderedDict[Key, tuple[int, float, Value]] = OrderedDict()

    @property
    def revision(self) -> int:
        """What to give to `put` with a value, taken *before* the value is read."""
        return self._database.revision

    def get(self, key: Key) -> Value | None:
        """Return the value, None where it has to be read."""
        entry = self._entries.get(key)
        if entry is None or entry[0] != self._database.revision or entry[1] < time.monotonic():
            return None
        self._entries.move_to_end(key)
        return entry[2]

    def put(self, key: Key, value: Value, revision: int) -> None:
        """Remember a value that was read at a revision."""
        self._entries[key] = (revision, time.monotonic() + _SECONDS, value)
        self._entries.move_to_end(key)
        if len(self._entries) > _ENTRIES:
            self._entries.popitem(last=False)
