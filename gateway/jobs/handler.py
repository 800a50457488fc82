"""The contract between a worker and the code that does one kind of job, and the ways in which a run can end."""

from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import blur
from gateway.jobs.claim import Claim
from gateway.jobs.tables import DELAYED

__all__ = ["Handler", "JobCancelled", "JobDelayed", "JobFailed", "Outcome", "run_handler"]

_log = structlog.get_logger()


class JobFailed(Exception):
    """The job can't succeed however often it is tried; `code` is machine-readable, the message is for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobDelayed(Exception):
    """A part that the job needs is away: it waits in the queue for `seconds`; this doesn't count as an attempt.

    The message is for operators; `words`, a sentence, are for whoever waits for the job. Where `longest` is given, each
    delay in a row is twice as long as the one before, up to that.
    """

    def __init__(self, message: str, *, seconds: float = 2.0, longest: float | None = None, words: str = "") -> None:
        super().__init__(message)
        self.seconds = seconds
        self.longest = longest
        self.words = words

    def find_pause(self, last: float) -> float:
        """Return the seconds to wait after a delay of `last`; 0 where there was none."""
        return self.seconds if self.longest is None else min(max(self.seconds, 2 * last), self.longest)


class JobCancelled(Exception):
    """The handler stopped because its owner asked for it (`claim.cancelled`)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run: `succeeded`, `failed` or `cancelled`, or `queued`: the job is to be tried again.

    `counted` is false where the run says nothing against the job, so that it doesn't use up an attempt. `words` are
    those of its delay.
    """

    status: str
    code: str | None = None
    message: str | None = None
    pause: float = 0.0
    counted: bool = True
    words: str = ""


class Handler(Protocol):
    """Does the work of one kind of job.

    Both methods may be called again after a crash, with the `claim.state` that was saved last. However often that
    happens, what stands there in the end is what one undisturbed run leaves.
    """

    async def run(self, claim: Claim) -> None:
        """Do the job.

        Raises:
            JobFailed: It can't succeed; it isn't tried again.
            JobDelayed: A part it needs is away; it is tried again later, any number of times.
            JobCancelled: It stopped since `claim.cancelled` is set (also at once, when it was set before a crash).
            Exception: Anything else is tried again, a few times in all.
        """
        ...

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write `failed` or `cancelled` to the job's subject, in the transaction that ends the job so."""
        ...


async def run_handler(handler: Handler, claim: Claim, pauses: tuple[float, ...]) -> Outcome:
    """Run the handler and turn whatever it raises into an outcome; `pauses` are the waits before further attempts.

    The outcome's message is for the job's owner, so it has no folder and no address in it; the log has the whole.
    """
    outcome = await _run(handler, claim, pauses)
    if outcome.message is None or (message := blur(outcome.message)) == outcome.message:
        return outcome
    _log.warning("job_attempt_failed", job=claim.id, kind=claim.kind, reason=outcome.message)
    return replace(outcome, message=message)


async def _run(handler: Handler, claim: Claim, pauses: tuple[float, ...]) -> Outcome:
    try:
        await handler.run(claim)
    except JobFailed as error:
        return Outcome("failed", error.code, error.message)
    except JobCancelled:
        return Outcome("cancelled", "cancelled", "The job was cancelled.")
    except JobDelayed as error:
        pause = error.find_pause(claim.last_delay)
        return Outcome("queued", DELAYED, str(error), pause=pause, counted=False, words=error.words)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, SQLAlchemyError):
            # The statement says nothing to the job's owner, who reads this.
            _log.warning("job_attempt_failed", job=claim.id, kind=claim.kind, reason=text)
            text = f"an error of the database ({type(error).__name__})"
        if claim.attempts <= len(pauses):
            return Outcome("queued", "server_error", text, pause=pauses[claim.attempts - 1])
        return Outcome(
            "failed", "server_error", f"It failed in each of {claim.attempts} attempts, the last with {text}"
        )
    return Outcome("succeeded")
