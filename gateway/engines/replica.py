"""The state of one engine replica as the gateway knows it, and the hold that a request has on it."""

import asyncio
from collections import Counter
from types import TracebackType
from typing import Self

from gateway.engines.client import Engine, Listing

__all__ = ["Lease", "Replica"]


class Replica:
    """State of one replica, in this process's memory only; compared by identity.

    Attributes:
        name: For clients and operators, by its place in the settings; its address is nobody's business.
        checked: A health check has ended, well or not.
        ready: It takes requests; `reason` says why not.
        listing: The engine's last account of its models.
        resident: The adapters that are loaded *and* have passed the probe since: the only ones that requests go to.
        life: Counts how often it came (back) up; what was found out about an adapter holds for one life.
        changes: Counts the adapter loads and unloads of this process here.
        doubt: Set when a request saw it fail, for a health check at once.
    """

    def __init__(self, engine: Engine, name: str = "engine") -> None:
        self.engine = engine
        self.name = name
        self.checked = False
        self.ready = False
        self.reason = "not checked yet"
        self.listing: Listing | None = None
        self.resident: set[str] = set()
        self.life = 0
        self.changes = 0
        self.last_turn = 0
        self.in_flight = 0
        self.uses: Counter[str | None] = Counter()
        self.doubt = asyncio.Event()

    def mark_up(self, listing: Listing, changes: int) -> None:
        """Take in a good health check that began when `changes` was the count of adapter loads and unloads here.

        A listing that was asked for before a load finished may lack that name, and says nothing about residency. One
        that lacks a resident adapter tells of a restart between two checks. (Names that aren't resident come and go
        with the attempts of other processes, so their absence tells nothing.)
        """
        if changes == self.changes:
            if self.resident - listing.adapters.keys():
                self.life += 1
            self.resident &= listing.adapters.keys()
            self.listing = listing
        if not self.ready:
            self.life += 1
        self.checked = True
        self.ready = True
        self.reason = ""

    def mark_down(self, reason: str) -> None:
        """Take no requests until the next good health check."""
        self.checked = True
        self.ready = False
        self.reason = reason

    def note_loaded(self, name: str, path: str) -> None:
        """Take down that the engine has confirmed a load from `path`, as it sees it."""
        self.changes += 1
        if self.listing is not None:
            self._list({**self.listing.adapters, name: path})

    def note_unloaded(self, name: str) -> None:
        """Take down that the engine doesn't have the adapter any more."""
        self.changes += 1
        self.expel(name)
        if self.listing is not None:
            self._list({other: path for other, path in self.listing.adapters.items() if other != name})

    def admit(self, name: str) -> None:
        """Let requests for an adapter come here: it is loaded, and has passed its probe since."""
        self.resident.add(name)

    def expel(self, name: str) -> None:
        """Send no more requests for an adapter here; those that are running go on."""
        self.resident.discard(name)

    def _list(self, adapters: dict[str, str]) -> None:
        assert self.listing is not None
        self.listing = Listing(self.listing.base_model, self.listing.max_model_len, adapters)


class Lease:
    """A request's hold on a replica: counts towards its load until released. Releasing twice is fine."""

    def __init__(self, replica: Replica, adapter: str | None) -> None:
        self.replica = replica
        self.engine = replica.engine
        self._adapter = adapter
        self._active = True
        replica.in_flight += 1
        replica.uses[adapter] += 1

    def release(self) -> None:
        """Give the replica back."""
        if self._active:
            self._active = False
            self.replica.in_flight -= 1
            self.replica.uses[self._adapter] -= 1
            if not self.replica.uses[self._adapter]:
                del self.replica.uses[self._adapter]

    def failed(self, reason: str) -> None:
        """Report that the connection failed: no more requests go there until a good health check, which comes soon."""
        self.replica.mark_down(reason)
        self.replica.doubt.set()

    def missing(self) -> None:
        """Report that the engine doesn't know the adapter, as after a restart between two health checks."""
        if self._adapter is not None:
            self.replica.note_unloaded(self._adapter)
            self.replica.life += 1
            self.replica.doubt.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
