"""Links to the reports of runs: for whoever has one, for that run alone, for a day.

A browser sends no key with a link that somebody clicks. So the link has what a key would say, signed with a secret of
the run's own, which never leaves the database: a link shows nothing else of the tenant, and deleting the run ends all
of its links.
"""

import hashlib
import hmac
import secrets
import time

from gateway.errors import Unauthorized

__all__ = ["check_link", "make_link", "make_secret"]

_SECONDS = 24 * 3600
_SKEW_SECONDS = 600
"""Clocks of several gateways differ by less: what works for longer than a day was made by a clock that was ahead."""


def make_secret() -> str:
    """Return a new secret for a run's links."""
    return secrets.token_hex(32)


def make_link(site: str, run_id: str, secret: str | None) -> str:
    """Return a link that works for a day from now; "" for a run from before there were any.

    Args:
        site: The gateway's address, as the client that asks has it.
        run_id: The run.
        secret: Its own.
    """
    if secret is None:
        return ""
    expires = int(time.time()) + _SECONDS
    return (
        f"{site.rstrip('/')}/api/eval_runs/{run_id}/report?expires={expires}&signature={_sign(run_id, expires, secret)}"
    )


def check_link(run_id: str, expires: str, signature: str, secret: str | None) -> None:
    """Refuse a link that wasn't made here, or is too old; of a run that doesn't exist the `secret` is None.

    Raises:
        Unauthorized: It is so. All such links get the same answer, so that none says whether a run exists.
    """
    moment = int(expires) if expires.isascii() and expires.isdecimal() and len(expires) < 16 else 0
    own_signature = _sign(run_id, moment, secret or make_secret())
    is_ours = hmac.compare_digest(own_signature.encode(), signature.encode("utf-8", "replace"))
    if not is_ours or not 0 <= moment - time.time() <= _SECONDS + _SKEW_SECONDS:
        raise Unauthorized(
            "This link to a report isn't valid, or not any more: links work for a day. Retrieve the run again: its "
            "report_url is a new one.",
            code="invalid_link",
        )


def _sign(run_id: str, expires: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"{run_id}:{expires}".encode(), hashlib.sha256).hexdigest()
