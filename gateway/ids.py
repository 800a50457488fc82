"""Identifiers as clients see them: a prefix that tells the kind, the time, and random bits."""

import os
import random
import re
import time

from structlog.contextvars import get_contextvars

__all__ = ["find_cause", "new_id", "seconds_of"]

_FORM = re.compile(r"[a-z]+[-_]([0-9a-f]{13})[0-9a-f]{12}")


# Apart from the module's own numbers, which whoever imports it may seed. An id is no secret: to know one opens nothing.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def new_id(prefix: str) -> str:
    """Make an identifier such as `file-…` or `vs_…`; `prefix` carries its own separator.

    Its first 13 digits are the Unix time in microseconds, so ids sort by creation even within one second.
    """
    return f"{prefix}{time.time_ns() // 1000:013x}{_random.getrandbits(48):012x}"


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
