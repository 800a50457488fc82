"""Makes what each replica holds the same as what is wanted: loads, proves, unloads, and again after every restart."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
import structlog

from gateway.engines.errors import AdapterNotLoaded, EngineError, EngineRefused, EngineUnreachable
from gateway.engines.pool import EnginePool
from gateway.engines.probe import DesiredAdapter, ProbeResult, measure
from gateway.engines.replica import Replica

__all__ = ["AdapterFailure", "AdapterRejected", "Reconciler"]

_log = structlog.get_logger()
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
# The engine is busy, not unwilling.
_TRANSIENT = frozenset({408, 425, 429, 502, 503, 504})


class AdapterRejected(EngineError):
    """A replica will never serve this adapter as it is; `detail` says why."""

    status = 400
    kind = "invalid_request_error"
    code = "adapter_rejected"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The model server can't serve this adapter. {reason}", detail=f"adapter {name}: {reason}")
        self.name = name
        self.reason = reason


class AdapterFailure(msgspec.Struct, frozen=True):
    """Why an adapter isn't on a replica. A permanent one is tried again only after the replica has restarted."""

    url: str
    served_name: str
    reason: str
    permanent: bool
    attempts: int


class _Trouble(msgspec.Struct):
    reason: str
    permanent: bool
    attempts: int
    life: int
    next_try: float


class Reconciler:
    """One task asks `wanted` every `interval` seconds, and one task per replica does what that one needs.

    Names are content-addressed: a name that is wanted with another path than before is refused, never loaded over.
    """

    def __init__(
        self, pool: EnginePool, wanted: Callable[[], Awaitable[Sequence[DesiredAdapter]]], *, interval: float = 1.0
    ) -> None:
        self._pool = pool
        self._ask = wanted
        self._interval = interval
        self._wanted: dict[str, DesiredAdapter] | None = None
        self._trouble: dict[tuple[Replica, str], _Trouble] = {}
        self._asked = asyncio.Event()
        self._work = {replica: asyncio.Event() for replica in pool.replicas}
        self._progress = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow())]
        self._tasks += [asyncio.create_task(self._tend(replica)) for replica in self._pool.replicas]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """Look at once: what is wanted has changed."""
        self._asked.set()

    def failures(self) -> list[AdapterFailure]:
        """Return what isn't where it should be, and why."""
        return [
            AdapterFailure(replica.engine.url, name, trouble.reason, trouble.permanent, trouble.attempts)
            for (replica, name), trouble in self._trouble.items()
        ]

    async def resident(self, name: str, timeout: float) -> None:
        """Wait until every ready replica, and at least one, holds the adapter and has passed its probe.

        Raises:
            AdapterRejected: a replica has refused it for good, or it failed the probe there.
            AdapterNotLoaded: not in time; its detail has the reasons known so far.
        """
        self.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._progress:
                await self._progress.wait_for(lambda: self._settled(name))
                return
        raise AdapterNotLoaded(name, self._why(name))

    def _settled(self, name: str) -> bool:
        ready = [replica for replica in self._pool.replicas if replica.ready]
        for replica in ready:
            trouble = self._trouble.get((replica, name))
            if trouble is not None and trouble.permanent and trouble.life == replica.life:
                raise AdapterRejected(name, trouble.reason)
        return bool(ready) and all(name in replica.resident for replica in ready)

    def _why(self, name: str) -> str:
        reasons = [f"{one.url}: {one.reason}" for one in self.failures() if one.served_name == name]
        reasons += [f"{r.engine.url}: not ready: {r.reason}" for r in self._pool.replicas if not r.ready]
        if self._wanted is not None and name not in self._wanted:
            reasons.append("nothing wants it: no release, and no job that tries it")
        return "; ".join(reasons) or "still loading"

    async def _follow(self) -> None:
        while True:
            self._asked.clear()
            try:
                async with asyncio.timeout(_LONGEST_PAUSE):
                    self._wanted = {adapter.served_name: adapter for adapter in await self._ask()}
            except Exception:
                # Without an answer nothing is known, so nothing is unloaded: the last answer stays in force.
                _log.exception("wanted_adapters_unknown")
            for event in self._work.values():
                event.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._asked.wait()

    async def _tend(self, replica: Replica) -> None:
        work = self._work[replica]
        while True:
            await work.wait()
            work.clear()
            if self._wanted is None or not replica.ready or replica.listing is None:
                continue
            try:
                await self._unload_unwanted(replica)
                await self._load_wanted(replica)
            except Exception:
                _log.exception("reconcile_failed", url=replica.engine.url)
            async with self._progress:
                self._progress.notify_all()

    async def _unload_unwanted(self, replica: Replica) -> None:
        wanted = self._wanted or {}
        assert replica.listing is not None
        for name in replica.listing.adapters.keys() - wanted.keys():
            # New requests stop here; those that are running on it end first, then the engine forgets the name.
            replica.resident.discard(name)
            if not replica.uses[name]:
                await self._forget(replica, name)
        for key in [key for key in self._trouble if key[0] is replica and key[1] not in wanted]:
            del self._trouble[key]

    async def _forget(self, replica: Replica, name: str) -> None:
        try:
            await replica.engine.unload_adapter(name)
        except EngineError as error:
            _log.warning("adapter_unload_failed", url=replica.engine.url, adapter=name, reason=error.detail)
        else:
            replica.changed(unloaded=name)
            _log.info("adapter_unloaded", url=replica.engine.url, adapter=name)

    async def _load_wanted(self, replica: Replica) -> None:
        for adapter in list((self._wanted or {}).values()):
            if not replica.ready or adapter.served_name in replica.resident:
                continue
            if not self._may_try(replica, adapter.served_name):
                continue
            life = replica.life
            try:
                await self._load(replica, adapter)
            except EngineError as error:
                self._note(replica, adapter.served_name, error, life)

    def _may_try(self, replica: Replica, name: str) -> bool:
        trouble = self._trouble.get((replica, name))
        if trouble is None or trouble.life != replica.life:
            return True
        return not trouble.permanent and time.monotonic() >= trouble.next_try

    async def _load(self, replica: Replica, adapter: DesiredAdapter) -> None:
        name, engine = adapter.served_name, replica.engine
        assert replica.listing is not None
        held = replica.listing.adapters.get(name)
        if held is None:
            await engine.load_adapter(name, adapter.path)
            replica.changed(loaded=(name, adapter.path))
        elif held != adapter.path:
            raise AdapterRejected(name, f"The engine holds this name from another folder ({held}). Restart the engine.")
        if not adapter.probe:
            raise AdapterRejected(name, "It has no reference rows to prove it by. Make them with `training reference`.")
        result = await self._measure(replica, adapter)
        if not result.passed:
            await self._forget(replica, name)
            raise AdapterRejected(name, result.verdict)
        if name in (self._wanted or {}):
            replica.resident.add(name)
        self._trouble.pop((replica, name), None)
        _log.info("adapter_resident", url=engine.url, adapter=name, **msgspec.structs.asdict(result))

    async def _measure(self, replica: Replica, adapter: DesiredAdapter) -> ProbeResult:
        try:
            return await measure(replica.engine, adapter)
        except EngineRefused as error:
            if error.engine_status != 404:
                raise
            # It was loaded a moment ago, so the engine has restarted in between: start over.
            replica.changed(unloaded=adapter.served_name)
            raise EngineUnreachable("the engine forgot the adapter before its probe", "answer") from error

    def _note(self, replica: Replica, name: str, error: EngineError, life: int) -> None:
        before = self._trouble.get((replica, name))
        attempts = before.attempts + 1 if before is not None and before.life == life else 1
        permanent = isinstance(error, AdapterRejected) or (
            isinstance(error, EngineRefused) and error.engine_status not in _TRANSIENT
        )
        pause = min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE)
        reason = error.reason if isinstance(error, AdapterRejected | EngineRefused) else error.detail
        self._trouble[replica, name] = _Trouble(reason, permanent, attempts, life, time.monotonic() + pause)
        _log.warning("adapter_not_loaded", url=replica.engine.url, adapter=name, reason=reason, permanent=permanent)
