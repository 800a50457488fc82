"""A pytest plugin that makes branch coverage bearable where SQLAlchemy runs drivers in greenlets: `-p tests.greenlets`.

Coverage can follow greenlets, at the price of a look-up in Python for each call, line and return of a thread, and then
it traces all of SQLAlchemy: half of a test run's time. Here a thread's tracer pauses in greenlets instead. What we have
in them, migrations and connections' listeners, is measured in the processes that tests start: coverage follows
greenlets there, as `COVERAGE_CONCURRENCY=greenlet` says.
"""

import sys
import threading
from types import FrameType
from typing import Any

import greenlet
import pytest

__all__ = ["pytest_load_initial_conftests"]


class _Pauses:
    """Called at every switch of a thread between greenlets; `tracer` is coverage's, of the thread's main greenlet."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self._main = greenlet.getcurrent()
        self._paused = False

    def __call__(self, event: str, greenlets: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        origin, target = greenlets
        if origin is self._main and sys.gettrace() is self._tracer:
            self._tracer.stop()
            self._paused = True
        elif target is self._main and self._paused:
            self._paused = False
            self._tracer.start()


@pytest.hookimpl(tryfirst=True)  # before a conftest is imported, and after pytest-cov has begun
def pytest_load_initial_conftests() -> None:
    start_thread: Any = threading.gettrace()
    if start_thread is None or not _pause_this_thread():
        return

    def start(frame: FrameType, event: str, argument: Any) -> Any:
        trace = start_thread(frame, event, argument)
        _pause_this_thread()
        return trace

    threading.settrace(start)


def _pause_this_thread() -> bool:
    tracer: Any = sys.gettrace()
    if getattr(tracer, "concur_id_func", None) is None:  # nothing is traced, or coverage wasn't told to follow
        return False
    tracer.concur_id_func = None
    greenlet.settrace(_Pauses(tracer))
    return True
