"""The identity of an adapter: the digest that its files have, the names made of it, or the reason why it gets none."""

import re
from dataclasses import dataclass

from gateway.errors import BadRequest
from training.verdict import Verdict

__all__ = [
    "DEFAULT_NAME",
    "AcceptedAdapter",
    "AdapterRefused",
    "accept_verdict",
    "check_name",
    "make_client_name",
    "make_served_name",
]

DEFAULT_NAME = "style"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class AdapterRefused(Exception):
    """The adapter must not answer anybody; the message has every reason, for its owner."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class AcceptedAdapter:
    """An adapter that passed the verdict: the digest of its bytes in hex, its rank, and what to mind of it."""

    digest: str
    rank: int
    notes: str = ""


def accept_verdict(verdict: Verdict) -> AcceptedAdapter:
    """Return the adapter that was judged.

    Raises:
        AdapterRefused: It didn't pass.
    """
    if verdict.ok and verdict.digest is not None:
        return AcceptedAdapter(verdict.digest, verdict.rank, " ".join(verdict.notes))
    raise AdapterRefused(" ".join(f"{reason.code}: {reason.message}" for reason in verdict.reasons))


def check_name(name: str, *, param: str) -> str:
    """Return `name`, or raise `BadRequest`: a colon or a dot in it would make two names read as one."""
    if _NAME.fullmatch(name):
        return name
    raise BadRequest(
        f"{name!r} can't become part of a model's name: use 1 to 64 letters, digits, '-' and '_', "
        "beginning with a letter or digit.",
        param=param,
    )


def make_client_name(base: str, tenant: str, name: str, digest: str, step: int | None = None) -> str:
    """Make the name for a request's `model`; `digest` is hex, and 8 digits of it tie the name to its bytes.

    A checkpoint's has its step, as OpenAI writes it.
    """
    checkpoint = "" if step is None else f":ckpt-step-{step}"
    return f"ft:{base}:{tenant}:{name}:{digest[:8]}{checkpoint}"


def make_served_name(tenant: str, name: str, digest: str, step: int | None = None) -> str:
    """Make the name that engines know the adapter by."""
    return f"{tenant}.{name}.{digest[:8]}" + ("" if step is None else f".{step}")
