"""The exceptions by which a handler tells what became of its job."""

__all__ = ["JobCancelled", "JobDelayed", "JobFailed", "LeaseLost"]


class JobFailed(Exception):
    """The job can't succeed however often it is tried; `code` is machine-readable, the message is for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobDelayed(Exception):
    """A part that the job needs is away: it waits in the queue for `seconds`; this doesn't count as an attempt."""

    def __init__(self, message: str, *, seconds: float = 2.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class JobCancelled(Exception):
    """The handler stopped because its owner asked for it (`claim.cancelled`)."""


class LeaseLost(Exception):
    """Another worker holds the job now; whatever this one still wanted to write is refused."""
