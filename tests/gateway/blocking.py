"""Calls of our own code that keep the event loop from everybody else: each fails the test in which it is made.

Python tells its audit hooks of what may take long. A look at a path costs microseconds, and isn't among it here.
"""

import asyncio
import linecache
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

__all__ = ["BlockingCall", "check_caller", "forbid_blocking"]

_PACKAGE = str(Path(__file__).parents[2] / "gateway")
_WAITS = {
    *("open", "sqlite3.connect"),
    *("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"),
    *("os.fork", "os.posix_spawn", "os.system", "subprocess.Popen"),
    *("shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree"),
}

_READERS_OF_SOURCES = {"<frozen importlib._bootstrap>", linecache.__file__}


class BlockingCall(AssertionError):
    """Our code waits for something in the thread of a running event loop."""


class _Watch:
    """The one hook of the process, which can't be taken out again: it is asleep but for the tests that want it."""

    def __init__(self) -> None:
        self.is_awake = False
        self._is_there = False

    def place(self) -> None:
        if not self._is_there:
            sys.addaudithook(self._look_at)
            self._is_there = True

    def _look_at(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_awake and event in _WAITS and (event != "socket.connect" or arguments[0].gettimeout() != 0):
            check_caller(event, arguments)


def check_caller(name: str, arguments: tuple[Any, ...]) -> None:
    """Look whether our own code makes this call where an event loop runs.

    Raises:
        BlockingCall: It does.
    """
    if asyncio._get_running_loop() is not None:
        caller = _find_caller()
        if caller is not None:
            raise BlockingCall(f"{caller} calls {name}{arguments!r} in the event loop")


def _find_caller() -> str | None:
    """Return the place in our package that the call came from; none where a module or a traceback's lines are read."""
    frame, caller = sys._getframe(2), None
    while frame is not None:
        file = frame.f_code.co_filename
        if file in _READERS_OF_SOURCES:
            return None
        if caller is None and file.startswith(_PACKAGE):
            caller = f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return caller


_watch = _Watch()


@contextmanager
def forbid_blocking() -> Generator[None]:
    sleep = time.sleep

    def sleep_beside_the_loop(seconds: float) -> None:
        check_caller("time.sleep", (seconds,))
        sleep(seconds)

    _watch.place()
    _watch.is_awake = True
    try:
        with patch.object(time, "sleep", sleep_beside_the_loop):  # of which Python tells no hook before 3.13
            yield
    finally:
        _watch.is_awake = False
