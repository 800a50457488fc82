"""Why an adapter must not answer anybody, or what it is if it may."""

from dataclasses import dataclass

from training.verdict import Verdict

__all__ = ["AdapterRefused", "Passed", "passed"]


class AdapterRefused(Exception):
    """The adapter can't be served; `code` is the first reason's, the message has them all."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Passed:
    """An adapter that passed the verdict: the digest of its bytes in hex, and its rank."""

    digest: str
    rank: int


def passed(verdict: Verdict) -> Passed:
    """Return what passed, or raise `AdapterRefused` with every reason."""
    if verdict.ok and verdict.digest is not None:
        return Passed(verdict.digest, verdict.rank)
    code = verdict.reasons[0].code if verdict.reasons else "adapter_refused"
    raise AdapterRefused(code, " ".join(f"{reason.code}: {reason.message}" for reason in verdict.reasons))
