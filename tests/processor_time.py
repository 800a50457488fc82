"""Processor time in tests that compare two pieces of work."""

import time
from collections.abc import Callable

__all__ = ["measure"]


def measure(work: Callable[[], object]) -> float:
    """Return the least seconds of three: a search for garbage may fall into one."""
    times: list[float] = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
