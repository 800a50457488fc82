"""What the gateway knows of one engine replica, and the hold that a request has on it."""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Self

from gateway.engines.client import Engine, Listing

__all__ = ["Lease", "Replica"]


class Replica:
    """State of one replica, in this process's memory only; compared by identity.

    `listing` is what the engine said last. `resident` are the adapters that are loaded *and* have passed the probe
    since: the only ones that requests go to. `life` counts how often it came (back) up.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ready = False
        self.reason = "not probed yet"
        self.listing: Listing | None = None
        self.resident: set[str] = set()
        self.life = 0
        self.changes = 0
        self.last_turn = 0
        self.in_flight = 0
        self.uses: Counter[str | None] = Counter()
        self.doubt = asyncio.Event()

    def up(self, listing: Listing, changes: int) -> None:
        """Take in a good probe that began when `changes` was the count of adapter loads and unloads here.

        A listing that was asked for before a load finished may lack that name, and says nothing about residency.
        """
        if changes == self.changes:
            if self.listing is not None and self.listing.adapters.keys() - listing.adapters.keys():
                self.life += 1
            self.resident &= listing.adapters.keys()
            self.listing = listing
        if not self.ready:
            self.life += 1
        self.ready = True
        self.reason = ""

    def down(self, reason: str) -> None:
        """Take no requests until the next good probe."""
        self.ready = False
        self.reason = reason

    def changed(self, *, loaded: tuple[str, str] | None = None, unloaded: str | None = None) -> None:
        """Note an adapter load (name, path) or unload that the engine has confirmed."""
        self.changes += 1
        if self.listing is None:
            return
        adapters = dict(self.listing.adapters)
        if loaded is not None:
            adapters[loaded[0]] = loaded[1]
        if unloaded is not None:
            adapters.pop(unloaded, None)
            self.resident.discard(unloaded)
        self.listing = Listing(self.listing.base_model, self.listing.max_model_len, adapters)


class Lease:
    """A request's hold on a replica: counts towards its load until released. Releasing twice is fine."""

    def __init__(self, replica: Replica, adapter: str | None) -> None:
        self.replica = replica
        self.engine = replica.engine
        self._adapter = adapter
        self._held = True
        replica.in_flight += 1
        replica.uses[adapter] += 1

    def release(self) -> None:
        """Give the replica back."""
        if self._held:
            self._held = False
            self.replica.in_flight -= 1
            self.replica.uses[self._adapter] -= 1
            if not self.replica.uses[self._adapter]:
                del self.replica.uses[self._adapter]

    def failed(self, reason: str) -> None:
        """Report that the connection failed: no more requests go there until a probe has gone well, which is soon."""
        self.replica.down(reason)
        self.replica.doubt.set()

    def missing(self) -> None:
        """Report that the engine doesn't know the adapter, as after a restart between two probes."""
        if self._adapter is not None:
            self.replica.changed(unloaded=self._adapter)
            self.replica.life += 1
            self.replica.doubt.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
