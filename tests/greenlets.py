"""A pytest plugin that makes branch coverage bearable where SQLAlchemy runs drivers in greenlets: `-p tests.greenlets`.

Coverage can follow greenlets, at the price of a look-up in Python for each call, line and return of a thread, and then
it traces all of SQLAlchemy: half of a test run's time. Here the main thread's tracer pauses in greenlets instead, but
for the tests of what we have in them: migrations and the database's listeners. Processes that tests start, and other
threads, follow greenlets all the time, as `COVERAGE_CONCURRENCY=greenlet` says.
"""

import sys
from collections.abc import Generator
from typing import Any

import greenlet
import pytest

__all__ = ["pytest_load_initial_conftests"]

_FOLLOWED = {"migrations", "db"}
"""Folders of tests."""


class _Pauses:
    """Stops coverage's tracer of the main greenlet while another one runs."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self._main = greenlet.getcurrent()
        self._paused = False

    def begin(self) -> None:
        self._tracer.concur_id_func = None
        greenlet.settrace(self._switch)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool | None, bool | None]:
        if item.path.parent.name not in _FOLLOWED:
            return (yield)
        greenlet.settrace(None)
        self._tracer.concur_id_func = greenlet.getcurrent
        try:
            return (yield)
        finally:
            self.begin()

    def _switch(self, _event: str, greenlets: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        origin, target = greenlets
        if origin is self._main and sys.gettrace() is self._tracer:
            self._tracer.stop()
            self._paused = True
        elif target is self._main and self._paused:
            self._paused = False
            self._tracer.start()


@pytest.hookimpl(tryfirst=True)  # before a conftest is imported, and after pytest-cov has begun
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    tracer: Any = sys.gettrace()
    if getattr(tracer, "concur_id_func", None) is not None:  # coverage's, told to follow greenlets
        pauses = _Pauses(tracer)
        pauses.begin()
        early_config.pluginmanager.register(pauses)
