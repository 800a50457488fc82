"""The engine replicas: which are ready, what they hold, and which one takes the next request."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
import structlog

from gateway.engines.client import Engine, ModelListing
from gateway.engines.errors import AdapterNotLoaded, EngineError, NoReplica
from gateway.engines.replica import Lease, Replica

__all__ = ["EnginePool", "ReplicaState"]

_log = structlog.get_logger()


class ReplicaState(msgspec.Struct, frozen=True):
    """One replica for `/readyz` and operators; `reason` is empty when it is ready.

    `corrupted_requests` are those that it computed no numbers (NaN) for, None where it doesn't count them.
    """

    url: str
    ready: bool
    reason: str
    in_flight: int
    adapters: list[str]
    corrupted_requests: int | None = None


class EnginePool:
    """Some engine replicas that serve the same base model: the first that one of them names.

    Prompts are made by that model's traits, which a process reads when it starts. So a replica that serves another one
    takes no requests, also where it took the place of one at the same address.

    An async context manager: inside it a task per replica checks its health every `interval` seconds, so that one that
    hangs delays no other.
    """

    def __init__(self, engines: Sequence[Engine], *, interval: float = 1.0) -> None:
        self.replicas = tuple(Replica(engine, f"engine {number}") for number, engine in enumerate(engines, 1))
        self._interval = interval
        self._base_model: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = 0
        self._listeners: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._watch(replica)) for replica in self.replicas]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever a replica becomes ready, or isn't any more."""
        self._listeners.append(listener)

    @property
    def base_model(self) -> str | None:
        """The name that the replicas serve the base model under; None as long as none has said."""
        return self._base_model

    @property
    def max_model_len(self) -> int | None:
        """Context length in tokens that every replica known so far can take; None as long as none has said."""
        return min((r.listing.max_model_len for r in self.replicas if r.listing is not None), default=None)

    def pick(self, adapter: str | None, exclude: Collection[Replica] = ()) -> Lease:
        """Take the least busy ready replica that holds `adapter` (None: the base model) and isn't in `exclude`.

        One at which answers don't begin comes last: it fails sooner than others answer, and would never be busy. So
        does one whose health check is silent. One on which no stream begins, which may have a long prompt, counts as
        busier than it is.

        Raises:
            NoReplica: none is ready.
            AdapterNotLoaded: some are ready, but none of them holds the adapter.
        """
        self._turn += 1
        candidates: list[Replica] = []
        ready = False
        for replica in self.replicas:
            if not replica.ready or replica in exclude:
                continue
            ready = True
            if adapter is None or adapter in replica.resident:
                candidates.append(replica)
        if candidates:
            choice = candidates[0] if len(candidates) == 1 else min(candidates, key=_rank)
            choice.last_turn = self._turn
            return Lease(choice, adapter)
        if ready and adapter is not None:
            raise AdapterNotLoaded(adapter, "no ready replica holds it")
        reasons = "; ".join(f"{r.engine.url}: {r.reason or 'tried already'}" for r in self.replicas)
        raise NoReplica(reasons or "no engine is configured", max(1, round(self._interval)))

    def list_states(self) -> list[ReplicaState]:
        """Return what an operator wants to know of each replica."""
        return [
            ReplicaState(r.engine.url, r.ready, r.reason, r.in_flight, sorted(r.resident), r.corrupted_requests)
            for r in self.replicas
        ]

    async def _watch(self, replica: Replica) -> None:
        while True:
            await self._check_health(replica)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await replica.doubt.wait()
                # A request saw it fail. Look again, but not in a tight loop.
                await asyncio.sleep(min(self._interval, 0.1))

    async def _check_health(self, replica: Replica) -> None:
        before = replica.ready, replica.reason
        doubtful = replica.doubt.is_set()
        replica.doubt.clear()
        changes = replica.changes
        replica.check_begun_at = time.monotonic()
        try:
            await replica.engine.check_health()
            replica.check_begun_at = math.inf  # a long list takes its time
            listing = await replica.engine.list_models() if doubtful or replica.listing_due else None
        except EngineError as error:
            replica.fail_check(error.explain())
        except Exception as error:
            # A watch that ended would leave the replica as it is for good.
            _log.exception("engine_health_check_failed", url=replica.engine.url)
            replica.fail_check(f"the health check failed: {type(error).__name__}: {error}")
        else:
            if listing is None or self._is_of_base(listing):
                replica.mark_up(listing, changes)
            else:
                replica.fail_check(
                    f"serves {listing.base_model!r} where the engines of this process serve {self._base_model!r}; if "
                    "that is meant, restart the gateways and workers when all engines serve it"
                )
        finally:
            replica.check_begun_at = math.inf
        if (replica.ready, replica.reason) != before:
            for listener in self._listeners:
                listener()
            _log.info("engine_replica", url=replica.engine.url, ready=replica.ready, reason=replica.reason)
        if replica.ready and replica.count_due:
            await self._count_corrupted(replica)

    async def _count_corrupted(self, replica: Replica) -> None:
        """Ask for the requests with NaN; an engine that can't say takes requests all the same."""
        try:
            count = await replica.engine.count_corrupted()
        except EngineError:
            count = replica.corrupted_requests
        except Exception:
            _log.exception("engine_metrics_unreadable", url=replica.engine.url)
            count = replica.corrupted_requests
        if replica.note_corrupted(count):
            _log.error(
                "engine_computes_nan",
                url=replica.engine.url,
                requests=count,
                advice="restart this engine: what it computed may stay in its cache, and spoil other answers",
            )

    def _is_of_base(self, listing: ModelListing) -> bool:
        if self._base_model is None:
            self._base_model = listing.base_model
        return listing.base_model == self._base_model


def _rank(replica: Replica) -> tuple[bool, int, int]:
    # Of equally busy ones the one that has rested longest, so that a quiet pool uses all of its replicas.
    return replica.is_failing or replica.is_silent, replica.load, replica.last_turn
