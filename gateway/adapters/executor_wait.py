"""The wait of a job for an executor that is away: its pauses grow, and it has an end."""

import msgspec

from gateway.adapters.executor import ExecutorAway
from gateway.jobs import Claim, JobDelayed, JobFailed

__all__ = ["prolong_wait"]

_STATE = "executor_wait"
_LONGEST_PAUSE = 300.0
_LONGEST_WAIT = 24 * 3600.0
"""Of pauses in which the executor was away: a cluster that is away for a day needs somebody who looks after it."""


class _Wait(msgspec.Struct, frozen=True):
    """A wait, in seconds: its last pause, and all of them, which no clock that jumps makes longer."""

    pause: float
    waited: float = 0.0


async def prolong_wait(claim: Claim, away: ExecutorAway) -> JobDelayed:
    """Return the next pause, twice the last one and at most five minutes, and keep the wait in the claim's state.

    Whoever hears of the program again forgets the wait, by saving another state.

    Raises:
        JobFailed: `executor_away`, after pauses of a day in all.
    """
    last = msgspec.convert(claim.state[_STATE], _Wait) if _STATE in claim.state else _Wait(away.seconds / 2)
    if last.waited > _LONGEST_WAIT:
        hours = f"{_LONGEST_WAIT / 3600:.0f} hours"
        raise JobFailed(
            "executor_away", f"It has waited for {hours} for what runs trainings, in vain. {away} Tell the operator."
        )
    pause = min(2 * last.pause, _LONGEST_PAUSE)
    wait = _Wait(pause, last.waited + pause)
    await claim.save({**claim.state, _STATE: msgspec.to_builtins(wait)})
    return JobDelayed(str(away), seconds=wait.pause)
