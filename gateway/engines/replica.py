"""The state of one engine replica as the gateway knows it, and the hold that a request has on it."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gateway.engines.client import Engine, ModelListing
from gateway.engines.errors import EngineRefused, EngineTimeout, EngineUnreachable
from gateway.interruption import Interruption

__all__ = ["Lease", "Replica"]

# One failed health check may be a moment's load, for which no running answer is given up. Three in a row are three
# seconds of refused connections, or some ten to twenty of silence.
_LOST_CHECKS = 3
# After so many answers in a row that never began others come first, for so long from the last of them.
_MOST_FAILURES, _FAILING_SECONDS = 3, 10.0
# An engine that is well answers a health check at once, and begins a stream within seconds unless its prompt is long.
# Whoever is slower isn't lost, and isn't the first choice either. A slow stream counts as so many requests: others may
# be slow because they have more to do.
_SLOW_CHECK_SECONDS, _SLOW_ANSWER_SECONDS = 2.0, 10.0
_SLOW_ANSWER_LOAD = 4
# A card is some 620 bytes, which the one process that answers clients on vLLM's side has to write.
_CARDS_PER_SECOND = 50
# Between two looks at an engine's metrics, some 100 KB.
_COUNT_SECONDS = 15.0


class Replica:
    """State of one replica, in this process's memory only; compared by identity.

    Attributes:
        name: For clients and operators, by its place in the settings; its address is nobody's business.
        checked: A health check has ended, well or not.
        ready: It takes requests; `reason` says why not.
        listing: The engine's last account of its models, as of `listed_at` in seconds of `time.monotonic`.
        resident: The adapters that are loaded *and* have passed the probe since: the only ones that requests go to.
        life: Counts how often it came (back) up; what was found out about an adapter holds for one life.
        changes: Counts the adapter loads and unloads of this process here.
        corrupted_requests: How many requests since the engine's start it computed no numbers (NaN) for; None where it
            doesn't count, or hasn't said. What it computed with may stay in its cache: only a restart is sure to help.
        doubt: Set when a request saw it fail, for a health check at once.
        check_begun_at: The moment in `time.monotonic` at which the health check began that is under way, else infinite.
        failed_checks: Counts the health checks that failed in a row.
        failed_answers: Counts the answers in a row that never began, the last at `failed_at` of `time.monotonic`.
    """

    def __init__(self, engine: Engine, name: str = "engine") -> None:
        self.engine = engine
        self.name = name
        self.checked = False
        self.ready = False
        self.reason = "not checked yet"
        self.listing: ModelListing | None = None
        self.listed_at = 0.0
        self.check_begun_at = math.inf
        self.failed_checks = 0
        self.failed_answers = 0
        self.failed_at = -math.inf
        self.resident: set[str] = set()
        self.life = 0
        self.changes = 0
        self.last_turn = 0
        self.in_flight = 0
        self.uses: Counter[str | None] = Counter()
        self.corrupted_requests: int | None = None
        self.counted_at = -math.inf
        self.doubt = asyncio.Event()
        self._waits: set[Interruption] = set()
        self._streams: dict[Interruption, float] = {}  # by when each began to be waited for, the oldest first
        self._answered_at = -math.inf

    @property
    def is_failing(self) -> bool:
        """Whether answers don't begin here, of whatever request: its health may be well all the same."""
        return self.failed_answers >= _MOST_FAILURES and time.monotonic() < self.failed_at + _FAILING_SECONDS

    @property
    def is_silent(self) -> bool:
        """Whether a health check is awaited for long."""
        return time.monotonic() > self.check_begun_at + _SLOW_CHECK_SECONDS

    @property
    def load(self) -> int:
        """The number of requests here, and some more where a stream's beginning is awaited for long.

        That doesn't count where an answer has begun since. Plain answers are waited for without it: their first byte
        takes the whole generation.
        """
        oldest = next(iter(self._streams.values()), math.inf)
        slow = time.monotonic() > max(oldest, self._answered_at) + _SLOW_ANSWER_SECONDS
        return self.in_flight + (_SLOW_ANSWER_LOAD if slow else 0)

    @property
    def listing_due(self) -> bool:
        """Whether a health check should ask for the models: the more there are, the seldomer.

        Nobody else's loads are known in between, and a restart that no health check and no request has seen. Both cost
        a try that fails.
        """
        if not self.ready or self.listing is None:
            return True
        return time.monotonic() >= self.listed_at + len(self.listing.adapters) / _CARDS_PER_SECOND

    @property
    def count_due(self) -> bool:
        """Whether a health check should ask for the count of corrupted requests."""
        return time.monotonic() >= self.counted_at + _COUNT_SECONDS

    def note_corrupted(self, count: int | None) -> bool:
        """Take down the count of corrupted requests, and tell whether there are more than before."""
        more = (count or 0) > (self.corrupted_requests or 0)
        self.corrupted_requests, self.counted_at = count, time.monotonic()
        return more

    def mark_up(self, listing: ModelListing | None, changes: int) -> None:
        """Take in a good health check that began when `changes` was the count of adapter loads and unloads here.

        A listing that was asked for before a load finished may lack that name, and says nothing about residency. One
        that lacks a resident adapter tells of a restart between two checks. (Names that aren't resident come and go
        with the attempts of other processes, so their absence tells nothing.) After a replica was down nothing is
        resident: what is listed may have been loaded since by another process, and is proven anew.
        """
        if not self.ready:
            self.life += 1
            self.resident.clear()
            self.failed_answers = 0
            self.counted_at = -math.inf  # it may have been restarted, and count from 0
        if listing is not None and changes == self.changes:
            if self.resident - listing.adapters.keys():
                self.life += 1
            self.resident &= listing.adapters.keys()
            self.listing = listing
            self.listed_at = time.monotonic()
        self.checked = True
        self.ready = True
        self.failed_checks = 0
        self.reason = ""

    def mark_down(self, reason: str) -> None:
        """Take no requests until the next good health check."""
        self.checked = True
        self.ready = False
        self.reason = reason

    def fail_check(self, reason: str) -> None:
        """Take in a failed health check. After a few in a row whoever waits for an answer's beginning waits no more."""
        self.mark_down(reason)
        self.failed_checks += 1
        if self.failed_checks >= _LOST_CHECKS:
            waits, self._waits = self._waits, set()
            for wait in waits:
                wait.interrupt()

    def note_answer(self) -> None:
        """Take down that an answer has begun."""
        self.failed_answers = 0
        self._answered_at = time.monotonic()

    def make_wait(self, *, stream: bool = False) -> Interruption:
        """Return the block to wait in for the beginning of an answer.

        Raises:
            EngineUnreachable: The replica was lost meanwhile; raised by the block.
        """
        return _Wait(self._explain_loss, self._waits, self._streams if stream else None)

    def _explain_loss(self) -> EngineUnreachable:
        return EngineUnreachable(f"{self.engine.url}: lost before it answered: {self.reason}", "answer")

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
        self.listing = ModelListing(self.listing.base_model, self.listing.max_model_len, adapters)


class _Wait(Interruption):
    """An interruption that is among others as long as it lasts, and among the streams if it is for one."""

    __slots__ = ("_others", "_streams")

    def __init__(
        self, explain: Callable[[], Exception], others: set[Interruption], streams: dict[Interruption, float] | None
    ) -> None:
        super().__init__(explain)
        self._others = others
        self._streams = streams

    def __enter__(self) -> Self:
        self._others.add(self)
        if self._streams is not None:
            self._streams[self] = time.monotonic()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._others.discard(self)
        if self._streams is not None:
            self._streams.pop(self, None)
        super().__exit__(kind, error, trace)


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

    def note_answer(self) -> None:
        """Report that an answer has begun."""
        self.replica.note_answer()

    def note_failure(self, error: EngineRefused | EngineTimeout | EngineUnreachable) -> None:
        """Report that no answer began, and of a connection that failed or said nothing, for a health check at once.

        Where none could be made, no more requests go there until that check is good. One that broke may be this
        request's own fault, as a refusal may, and is no reason to take the replica from everybody.
        """
        self.replica.failed_answers += 1
        self.replica.failed_at = time.monotonic()
        if isinstance(error, EngineRefused):
            return
        if isinstance(error, EngineUnreachable) and error.phase == "connect":
            self.replica.mark_down(error.detail)
        self.replica.doubt.set()

    def note_missing_adapter(self) -> None:
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
