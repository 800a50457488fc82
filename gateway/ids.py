"""Identifiers as clients see them: a prefix that tells the kind, the time, and random bits."""

import os
import random
import re
import time

from structlog.contextvars import get_contextvars

__all__ = ["find_cause", "follow_id", "new_id", "seconds_of"]

_FORM = re.compile(r"[a-z]+[-_]([0-9a-f]{13})[0-9a-f]{12}")


# Apart from the module's own numbers, which whoever imports it may seed. An id is no secret: to know one opens nothing.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)
_MOST_AHEAD = 3_600_000_000
"""Microseconds. Beyond that a clock was wrong before, rather than set back a little or other than another machine's."""


class _Moments:
    """Microseconds of Unix time, each later than the one before in this process."""

    def __init__(self) -> None:
        self.last = 0

    def take(self) -> int:
        now = time.time_ns() // 1000
        self.last = max(now, self.last + 1) if self.last - now < _MOST_AHEAD else now
        return self.last


_moments = _Moments()


def new_id(prefix: str) -> str:
    """Make an identifier such as `file-…` or `vs_…`; `prefix` carries its own separator.

    Its first 13 digits are the Unix time in microseconds, so ids sort by creation even within one second, and in one
    process also where its clock is set back by less than an hour.
    """
    return f"{prefix}{_moments.take():013x}{_random.getrandbits(48):012x}"


def follow_id(id: str) -> None:
    """Have this process's ids from now on sort after one of another process, whose clock may be up to an hour ahead."""
    form = _FORM.fullmatch(id)
    if form is not None:
        moment = int(form[1], 16)
        if moment - time.time_ns() // 1000 < _MOST_AHEAD:
            _moments.last = max(_moments.last, moment)


def seconds_of(id: str, like: str) -> int | None:
    """Return the Unix time in whole seconds at which an identifier was made.

    Args:
        id: Of something that may not exist anymore.
        like: Another one of the same kind.

    Returns:
        None where `id` isn't as `new_id` makes them for this kind.
    """
    form = _FORM.fullmatch(id)
    if form is None or id[: form.start(1)] != like[: form.start(1)]:
        return None
    return int(form[1], 16) // 1_000_000


def find_cause() -> str:
    """Return the id of the request, or of the job, that this task works for: what its log lines have; "" for neither.

    Engines and the retriever are told it, so that their lines are found by it, too.
    """
    bound = get_contextvars()
    return bound.get("request") or bound.get("job") or ""
