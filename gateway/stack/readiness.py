"""Waiting for the processes to be ready, and telling what they do."""

import asyncio
import time
from collections.abc import Callable, Sequence

from gateway.processes import Child
from gateway.terminal import CommandError

__all__ = ["describe_change", "wait_until_ready", "watch"]

_POLL_SECONDS = 0.2
_HEARTBEAT_SECONDS = 15.0
_HOPELESS_ATTEMPTS = 3


async def wait_until_ready(children: Sequence[Child], tell: Callable[[str], None]) -> None:
    """Return when all are ready; tells each that is, and from time to time which are not.

    Raises:
        CommandError: One ends again and again before it is ready.
    """
    start = last_report = time.monotonic()
    waiting = list(children)
    while waiting:
        for child in list(waiting):
            if child.state.phase == "ready":
                waiting.remove(child)
                tell(f"{child.name}: ready after {time.monotonic() - start:.0f} s")
            elif child.state.phase == "restarting" and child.state.attempts >= _HOPELESS_ATTEMPTS:
                raise CommandError(
                    f"The {child.name} doesn't start: {child.state.reason}\n"
                    f"Its log is {child.log_path}. 'braid doctor' looks for usual causes."
                )
        if waiting and time.monotonic() - last_report >= _HEARTBEAT_SECONDS:
            last_report = time.monotonic()
            tell(f"{last_report - start:.0f} s: waiting for {', '.join(child.name for child in waiting)}")
        await asyncio.sleep(_POLL_SECONDS)


def describe_change(child: Child) -> str:
    """Return the line for a child that fell or is ready again."""
    reason = child.state.reason
    return f"{child.name}: fell: {reason}\nIts log is {child.log_path}." if reason else f"{child.name}: ready again"


async def watch(children: Sequence[Child], tell: Callable[[str], None]) -> None:
    """Tell falls and recoveries of children that were all ready, until cancelled."""
    falls = {child.name: 0 for child in children}
    while True:
        for child in children:
            state = child.state
            # Of a start that follows a fall the reason is known, and the fall may have been too short to be seen.
            fall = state.attempts - (state.phase == "starting") if state.reason else 0
            if fall != falls[child.name] and state.phase != "stopped":
                tell(describe_change(child))
                falls[child.name] = fall
        await asyncio.sleep(_POLL_SECONDS)
