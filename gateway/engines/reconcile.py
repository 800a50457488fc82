"""Makes what each replica holds the same as what is desired: loads, proves, unloads, and again after every restart.

The one place where adapters are loaded and proven. Every gateway runs one for its routing, and every worker for the
adapters that its jobs make, so several work on the same engines: a name that is loaded already is only proven, and one
is unloaded only by who has looked at the database since it appeared.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
import structlog

from gateway.engines.client import ModelListing
from gateway.engines.errors import AdapterNotLoaded, AdapterUnservable, EngineError, EngineRefused, EngineUnreachable
from gateway.engines.pool import EnginePool
from gateway.engines.probe import DesiredAdapter, ProbeResult, measure
from gateway.engines.replica import Replica
from retrieval.patience import Patience

__all__ = ["LoadFailure", "Reconciler"]

_log = structlog.get_logger()
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SHORTEST_INTERVAL = 0.1
# Of the time that looks may take, however many requests wake the reconciler.
_LOOKING_SHARE = 0.2
_LOADS_AT_ONCE = 4
# The engine is busy, not unwilling.
_TRANSIENT = frozenset({408, 425, 429, 502, 503, 504})


class LoadFailure(msgspec.Struct, frozen=True):
    """The reason why an adapter isn't on a replica. A permanent one is tried again only after the replica's restart."""

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
    """One task asks what is desired every `interval` seconds, and one task per replica does what that one needs.

    Names are content-addressed: one that is desired from another folder than it is loaded from is refused, never loaded
    over.

    Args:
        pool: The replicas, and where residency is written for routing.
        desired: Asks for the adapters that every replica has to hold.
        interval: Between two looks.
        folder: Of the adapters that are ours to unload, as engines see it; empty: every adapter is.
        find_names: Asks which of some names the database has ever had. Others aren't unloaded: whoever starts a gateway
            with the wrong database must not empty engines by that. None: it has had every name.
        turn_seconds: After this time a load lets the next one begin beside it, for it may hang.
    """

    def __init__(
        self,
        pool: EnginePool,
        desired: Callable[[], Awaitable[Sequence[DesiredAdapter]]],
        *,
        interval: float = 1.0,
        folder: str = "",
        find_names: Callable[[Collection[str]], Awaitable[Collection[str]]] | None = None,
        turn_seconds: float = 5.0,
    ) -> None:
        self._pool = pool
        self._ask = desired
        self._ask_known = find_names
        self._turn_seconds = turn_seconds
        self._interval = interval
        self._prefix = folder and f"{folder.rstrip('/')}/"
        self._answer: Sequence[DesiredAdapter] | None = None
        self._desired: Mapping[str, DesiredAdapter] | None = None
        self._sighted: dict[Replica, frozenset[str]] = {}
        self._looks_begun = 0
        self._looks_ended = 0
        self._tended: set[Replica] = set()
        self._loading: dict[Replica, dict[str, asyncio.Task[None]]] = {replica: {} for replica in pool.replicas}
        self._strangers: set[str] = set()
        self._trouble: dict[tuple[Replica, str], _Trouble] = {}
        self._awaited: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self._work = {replica: asyncio.Event() for replica in pool.replicas}
        self._progress = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        pool.on_change(self.wake)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow())]
        self._tasks += [asyncio.create_task(self._tend(replica)) for replica in self._pool.replicas]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loads = [task for loading in self._loading.values() for task in loading.values()]
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    def wake(self) -> None:
        """Look at once: something has changed."""
        self._woken.set()

    def list_failures(self) -> list[LoadFailure]:
        """Return what isn't where it should be, and why."""
        return [
            LoadFailure(replica.engine.url, name, trouble.reason, trouble.permanent, trouble.attempts)
            for (replica, name), trouble in self._trouble.items()
        ]

    @property
    def caught_up(self) -> bool:
        """Whether each replica that is ready has had its first turn: what was desired is loaded there, or was tried."""
        return all(replica in self._tended for replica in self._pool.replicas if replica.ready)

    async def wait_until_resident(self, name: str, timeout: float, *, everywhere: bool = True) -> None:
        """Wait until every reachable replica, and at least one, holds the adapter and has passed its probe.

        With `everywhere` false one of them will do, whatever the others say. An adapter that is waited for is loaded
        ahead of those that nobody waits for.

        Raises:
            AdapterUnservable: A replica has refused it for good, or it failed the probe there.
            AdapterNotLoaded: Not in time; its detail has the reasons known so far.
        """
        since = self._looks_begun
        self.wake()
        self._awaited[name] += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout), self._progress:
                    await self._progress.wait_for(
                        lambda: self._looks_ended > since and self._is_settled(name, everywhere)
                    )
                    return
        finally:
            self._awaited[name] -= 1
            if not self._awaited[name]:
                del self._awaited[name]
        raise AdapterNotLoaded(name, self._explain(name))

    def _is_settled(self, name: str, everywhere: bool) -> bool:
        ready = [replica for replica in self._pool.replicas if replica.ready]
        if not everywhere and any(name in replica.resident for replica in ready):
            return True
        for replica in ready:
            trouble = self._trouble.get((replica, name))
            if trouble is not None and trouble.permanent and trouble.life == replica.life:
                raise AdapterUnservable(name, trouble.reason)
        is_conclusive = all(replica.checked for replica in self._pool.replicas)
        return is_conclusive and bool(ready) and all(name in replica.resident for replica in ready)

    def _explain(self, name: str) -> str:
        reasons = [f"{one.url}: {one.reason}" for one in self.list_failures() if one.served_name == name]
        reasons += [f"{r.engine.url}: not ready: {r.reason}" for r in self._pool.replicas if not r.ready]
        if not self._pool.replicas:
            reasons.append("no engine is configured")
        if self._desired is not None and name not in self._desired:
            reasons.append("nothing wants it: no release, and no job that tries it")
        return "; ".join(reasons) or "still loading"

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            start = loop.time()
            self._woken.clear()
            self._looks_begun += 1
            sighted = {replica: self._ours(replica) for replica in self._pool.replicas}
            try:
                async with Patience(_LONGEST_PAUSE):
                    adapters = await self._ask()
            except Exception:
                # Without an answer nothing is known, so nothing is unloaded: the last answer stays in force.
                _log.exception("desired_adapters_unknown")
            else:
                self._take(adapters, sighted)
            self._looks_ended = self._looks_begun
            for event in self._work.values():
                event.set()
            async with self._progress:
                self._progress.notify_all()
            pause = min(self._interval, max(_SHORTEST_INTERVAL, (loop.time() - start) / _LOOKING_SHARE))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._woken.wait()
            await asyncio.sleep(max(0.0, start + pause - loop.time()))

    def _ours(self, replica: Replica) -> frozenset[str]:
        if replica.listing is None:
            return frozenset()
        return frozenset(name for name, path in replica.listing.adapters.items() if path.startswith(self._prefix))

    def _take(self, adapters: Sequence[DesiredAdapter], sighted: dict[Replica, frozenset[str]]) -> None:
        self._sighted = sighted
        if adapters is self._answer:
            return
        before = self._desired or {}
        self._answer = adapters
        self._desired = {adapter.served_name: adapter for adapter in adapters}
        replaced = {name for name, one in before.items() if name in self._desired and self._desired[name].id != one.id}
        for name in replaced:
            for replica in self._pool.replicas:
                replica.expel(name)
        for key in [key for key in self._trouble if key[1] in replaced or key[1] not in self._desired]:
            del self._trouble[key]

    async def _tend(self, replica: Replica) -> None:
        work = self._work[replica]
        while True:
            await work.wait()
            work.clear()
            if self._desired is None or not replica.ready or replica.listing is None:
                continue
            try:
                await self._unload_undesired(replica)
                await self._load_desired(replica)
            except Exception:
                _log.exception("reconcile_failed", url=replica.engine.url)
            self._tended.add(replica)
            async with self._progress:
                self._progress.notify_all()

    async def _unload_undesired(self, replica: Replica) -> None:
        # Whoever loads an adapter has made the database want it first. So one that appeared before the last look, and
        # wasn't wanted then, is nobody's; one that appeared since may be another process's, and is left till the next.
        nobodys = (self._ours(replica) & self._sighted.get(replica, frozenset())) - (self._desired or {}).keys()
        nobodys -= self._strangers | self._loading[replica].keys()
        if nobodys and self._ask_known is not None:
            strangers = nobodys.difference(await self._ask_known(nobodys))
            self._strangers |= strangers
            nobodys -= strangers
            if strangers:
                _log.warning("adapters_of_another_database", url=replica.engine.url, adapters=sorted(strangers))
        for name in nobodys:
            # New requests stop here; those that are running on it end first, then the engine unloads it.
            replica.expel(name)
            if not replica.uses[name]:
                await self._unload(replica, name)

    async def _unload(self, replica: Replica, name: str) -> None:
        try:
            await replica.engine.unload_adapter(name)
        except EngineError as error:
            _log.warning("adapter_unload_failed", url=replica.engine.url, adapter=name, reason=error.explain())
        else:
            replica.note_unloaded(name)
            _log.info("adapter_unloaded", url=replica.engine.url, adapter=name)

    async def _load_desired(self, replica: Replica) -> None:
        """Load one after the other; one that hangs goes on beside the others, a few of them at most."""
        loading = self._loading[replica]
        while len(loading) < _LOADS_AT_ONCE and (adapter := self._next(replica)) is not None:
            task = loading[adapter.served_name] = asyncio.create_task(self._try_load(replica, adapter))
            await asyncio.wait([task], timeout=self._turn_seconds)

    async def _try_load(self, replica: Replica, adapter: DesiredAdapter) -> None:
        life = replica.life
        try:
            await self._load(replica, adapter, life)
        except EngineError as error:
            self._note_trouble(replica, adapter.served_name, error, life)
        except Exception as error:
            _log.exception("adapter_load_failed", url=replica.engine.url, adapter=adapter.served_name)
            fault = EngineError("An adapter couldn't be loaded.", detail=f"{type(error).__name__}: {error}")
            self._note_trouble(replica, adapter.served_name, fault, life)
        finally:
            del self._loading[replica][adapter.served_name]
        async with self._progress:
            self._progress.notify_all()

    def _next(self, replica: Replica) -> DesiredAdapter | None:
        """Return the next adapter that the replica lacks and may be given now, those first that are waited for."""
        desired = self._desired or {}
        if not replica.ready:
            return None
        for names in (self._awaited, desired):
            for name in names:
                if name in desired and name not in replica.resident and self._may_try(replica, name):
                    return desired[name]
        return None

    def _may_try(self, replica: Replica, name: str) -> bool:
        if name in self._loading[replica]:
            return False
        trouble = self._trouble.get((replica, name))
        if trouble is None or trouble.life != replica.life:
            return True
        return not trouble.permanent and time.monotonic() >= trouble.next_try

    async def _load(self, replica: Replica, adapter: DesiredAdapter, life: int) -> None:
        name, engine = adapter.served_name, replica.engine
        assert replica.listing is not None
        if not adapter.provable:
            raise AdapterUnservable(
                name, "It has no reference rows to prove it by. Make them with `training reference`."
            )
        path = replica.listing.adapters.get(name)
        if path is None:
            await self._load_on_engine(replica, adapter)
        elif path != adapter.path:
            _log.error("adapter_from_another_folder", url=engine.url, adapter=name, path=path, desired=adapter.path)
            raise AdapterUnservable(name, "The engine holds this name from another folder. Restart the engine.")
        result = await self._measure(replica, adapter, replica.listing)
        if not result.passed:
            await self._unload(replica, name)
            raise AdapterUnservable(name, result.verdict)
        if not self._is_still_desired(adapter):
            return
        if replica.life != life:
            raise EngineUnreachable("the engine has restarted since the adapter's probe", "answer")
        replica.admit(name)
        self._trouble.pop((replica, name), None)
        _log.info("adapter_resident", url=engine.url, adapter=name, **msgspec.structs.asdict(result))

    def _is_still_desired(self, adapter: DesiredAdapter) -> bool:
        now = (self._desired or {}).get(adapter.served_name)
        return now is not None and now.id == adapter.id

    async def _load_on_engine(self, replica: Replica, adapter: DesiredAdapter) -> None:
        try:
            await replica.engine.load_adapter(adapter.served_name, adapter.path)
        except EngineRefused as error:
            if error.engine_status == 404:
                raise AdapterUnservable(
                    adapter.served_name,
                    "An engine doesn't find the adapter's folder. The operator has to set BRAID_ENGINE_ADAPTER_DIR to "
                    "where the engines see the folder of adapters; then ask for the work again.",
                ) from error
            raise
        replica.note_loaded(adapter.served_name, adapter.path)

    async def _measure(self, replica: Replica, adapter: DesiredAdapter, listing: ModelListing) -> ProbeResult:
        try:
            return await measure(replica.engine, adapter, listing)
        except EngineRefused as error:
            if error.engine_status != 404:
                raise
            # It was there a moment ago, so the engine has restarted in between, or another process, which didn't know
            # yet that it is wanted or found it to be wrong, has unloaded it: start over.
            replica.note_unloaded(adapter.served_name)
            raise EngineUnreachable("the engine lost the adapter before its probe", "answer") from error

    def _note_trouble(self, replica: Replica, name: str, error: EngineError, life: int) -> None:
        before = self._trouble.get((replica, name))
        attempts = before.attempts + 1 if before is not None and before.life == life else 1
        permanent, reason = _read_trouble(error)
        pause = min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE)
        self._trouble[replica, name] = _Trouble(reason, permanent, attempts, life, time.monotonic() + pause)
        _log.warning("adapter_not_loaded", url=replica.engine.url, adapter=name, reason=reason, permanent=permanent)


def _read_trouble(error: EngineError) -> tuple[bool, str]:
    """Tell whether trying again is in vain, and the reason in words for the adapter's owner."""
    if isinstance(error, AdapterUnservable):
        return True, error.reason
    if isinstance(error, EngineRefused):
        return error.engine_status not in _TRANSIENT, f"An engine refused the adapter: {error.reason}"
    return False, error.detail
