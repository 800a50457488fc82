"""The worker: claims jobs, runs their handlers, keeps their leases, and gives them back when it stops."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bind_contextvars

from gateway.db import Database, is_unavailable
from gateway.jobs.claim import Claim, LeaseLost, claim_next, watch_leases
from gateway.jobs.failpoints import failpoint
from gateway.jobs.handler import Handler, Outcome, run_handler
from gateway.jobs.lease_watch import LeaseWatch
from gateway.jobs.tables import DELAYED
from gateway.task_group import await_each

__all__ = ["Worker", "WorkerTimings"]

_log = structlog.get_logger()
_GIVE_BACK_PAUSES = (0.2, 1.0)
_END_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class WorkerTimings:
    """All in seconds.

    Attributes:
        lease_seconds: After this time without a sign of life another worker takes a job over, see `LeaseWatch`.
        idle_seconds: Between looks at an empty queue.
        trouble_seconds: Before the next look after one that the database didn't answer.
        grace_seconds: How long running handlers may go on after `stop`, before they are told to end.
        end_seconds: How long they may take for that; some end a child program first, for which they allow 6 s. Then
            their jobs are given back all the same. (The supervisor kills a worker 15 s after SIGTERM.)
        pauses: Before the second attempt, the third, …; there is one attempt more than pauses.
    """

    lease_seconds: float = 15.0
    idle_seconds: float = 0.2
    trouble_seconds: float = 2.0
    grace_seconds: float = 5.0
    end_seconds: float = 7.0
    pauses: tuple[float, ...] = (1.0, 5.0)


class Worker:
    """Runs a few jobs at once until it is stopped.

    Args:
        database: Where the jobs are.
        handlers: By kind of job; other kinds are left to other workers.
        name: Tells the worker apart in the job table.
        slots: How many jobs run at once.
        urgent_slots: How many of them others leave free, so that urgent jobs wait for none of those; these may take
            any slot, by turns with others.
        single: Kinds of which only one runs at a time here, since one takes the whole machine.
        on_end: Told of each run's end: the job's kind, and the outcome's status.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        name: str,
        slots: int = 3,
        urgent_slots: int = 0,
        single: Collection[str] = ("train",),
        timings: WorkerTimings | None = None,
        on_end: Callable[[str, str], None] | None = None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._name = name
        self._slots = slots
        self._urgent_slots = urgent_slots
        self._single = frozenset(single)
        self._timings = timings or WorkerTimings()
        self._on_end = on_end
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._watch = LeaseWatch(self._timings.lease_seconds)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take no further job, and let `run` come to its end; a signal handler may call it."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`; jobs that aren't done within the grace time are given back for another worker."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                claim = await self._next()
                if claim is not None:
                    self._running[asyncio.create_task(self._work(claim))] = claim
                    continue
                full = len(self._running) >= self._slots
                timeout = self._watch.pause if full else self._timings.idle_seconds
                done, _ = await asyncio.wait(
                    {stopping, *self._running}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                self._reap(done)
        finally:
            stopping.cancel()
            await self._drain()

    async def _next(self) -> Claim | None:
        busy = Counter(claim.kind for claim in self._running.values())
        kinds = [kind for kind in self._handlers if not (kind in self._single and busy[kind])]
        others = sum(not claim.payload.get("urgent", False) for claim in self._running.values())
        # After a machine's sleep the leases here have ended too, but their jobs go on and will be renewed.
        own = [claim.id for claim in self._running.values()]
        try:
            if len(self._running) >= self._slots or not kinds:
                return await watch_leases(self._database, self._watch, own)
            return await claim_next(
                self._database,
                kinds=kinds,
                worker=self._name,
                lease_seconds=self._timings.lease_seconds,
                without=own,
                watch=self._watch,
                urgent_only=others >= self._slots - self._urgent_slots,
            )
        except SQLAlchemyError as error:
            _log.warning("job_table_unreadable", reason=str(error))
            await asyncio.sleep(self._timings.trouble_seconds)
            return None

    def _reap(self, tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks & self._running.keys():
            del self._running[task]

    async def _drain(self) -> None:
        """Leave no job behind that is this worker's, however long its handler takes to stop."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=self._timings.grace_seconds)
        for task in late:
            task.cancel()
        if late:
            _, stuck = await asyncio.wait(late, timeout=self._timings.end_seconds)
            claims = [self._running[task] for task in stuck]
            for claim in claims:
                _log.warning("job_handler_stuck", job=claim.id, kind=claim.kind)
            # At once: whoever stops this process waits a few seconds more, and a busy database takes some for each.
            await await_each(self._give_back, claims)
        self._running.clear()

    async def _work(self, claim: Claim) -> None:
        bind_contextvars(job=claim.id, kind=claim.kind)
        try:
            failpoint("claimed")
            outcome = await self._attempt(claim)
            failpoint("done")
            await self._end(claim, outcome)
            failpoint("ended")
        except asyncio.CancelledError:
            await self._give_back(claim)
        except LeaseLost as error:
            _log.warning("job_lease_lost", job=claim.id, kind=claim.kind, reason=str(error))
            if self._stopping.is_set():
                # It may have been lost to a slow database rather than to another worker, and nobody renews it now.
                await self._give_back(claim)
        except Exception:
            # Its lease will end, and it will be tried again.
            _log.exception("job_end_not_written", job=claim.id, kind=claim.kind)

    async def _attempt(self, claim: Claim) -> Outcome:
        pauses = self._timings.pauses
        if claim.attempts > len(pauses) + 1:
            return Outcome(
                "failed",
                "server_error",
                f"The worker died in each of {claim.attempts - 1} attempts at this job. See its log and the memory it "
                "had, then ask for the work again.",
            )
        try:
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(claim.keep_lease())
                outcome = await run_handler(self._handlers[claim.kind], claim, pauses)
                beat.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the heartbeat's LeaseLost
        return outcome

    async def _end(self, claim: Claim, outcome: Outcome) -> None:
        """Write the end of a run, as often as it takes while the database can't be used: the work is done.

        Raises:
            LeaseLost: Another worker has the job by now, or its end was written though the database didn't say so.
            Exception: Of what was written, which would fail again.
        """
        if self._on_end is not None:
            self._on_end(claim.kind, outcome.status)
        if outcome.status == "queued":
            _log.warning("job_tried_again", job=claim.id, kind=claim.kind, reason=outcome.message)
        causes: set[type[BaseException]] = set()
        for pause in chain(_END_PAUSES, repeat(_END_PAUSES[-1])):
            try:
                await self._write_end(claim, outcome)
            except SQLAlchemyError as error:
                if not is_unavailable(error):
                    raise
                cause: BaseException = getattr(error, "orig", None) or error
                if type(cause) not in causes:
                    causes.add(type(cause))
                    _log.warning("job_end_waits", job=claim.id, kind=claim.kind, reason=str(cause).partition("\n")[0])
            else:
                break
            with suppress(SQLAlchemyError):
                async with claim.begin():
                    pass  # renews the lease, where that can be written
            await asyncio.sleep(min(pause, self._timings.lease_seconds / 3))
        if causes:
            _log.info("job_end_written", job=claim.id, kind=claim.kind)

    async def _write_end(self, claim: Claim, outcome: Outcome) -> None:
        error: dict[str, Any] | None = None
        if outcome.code is not None:
            error = {"code": outcome.code, "message": outcome.message}
        if error is not None and outcome.code == DELAYED:
            error |= {"pause": outcome.pause, "words": outcome.words}
        if outcome.status == "queued":
            await claim.release(pause=outcome.pause, error=error, counted=outcome.counted)
            return
        async with claim.end(outcome.status, error) as session:
            if outcome.status != "succeeded":
                await self._handlers[claim.kind].record_end(session, claim, outcome)

    async def _give_back(self, claim: Claim) -> None:
        counted = not self._stopping.is_set()  # a handler that cancels itself must not do so for ever
        for pause in (*_GIVE_BACK_PAUSES, None):
            try:
                await claim.release(counted=counted, pause=1.0 if counted else 0.0)
            except LeaseLost:
                return  # it is another worker's by now, or was given back before
            except SQLAlchemyError as error:
                _log.warning("job_not_given_back", job=claim.id, kind=claim.kind, reason=str(error))
                if pause is not None:
                    await asyncio.sleep(pause)
            else:
                return
