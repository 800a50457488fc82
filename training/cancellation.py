"""Cancelling and pausing a program by a signal. Only `__main__` uses it: a library leaves its host's signals alone."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from training.events import PAUSE_SIGNAL

__all__ = ["Cancelled", "PauseWish", "cancel_on_signals"]

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Cancelled(BaseException):
    """A signal asked the process to end. Not an Exception, so that no library on the way takes it for a failure."""


@contextmanager
def cancel_on_signals() -> Generator[Callable[[], None]]:
    """Turn SIGTERM and SIGINT into `Cancelled`, raised where the program is; in the main thread only.

    Gives a function that makes them void for the rest of the block: a run either makes something or was cancelled.
    """

    def cancel(_number: int, _frame: FrameType | None) -> None:
        raise Cancelled

    def seal() -> None:
        for number in _END_SIGNALS:
            # Not blocked, which holds for one thread only, and torch has more.
            signal.signal(number, signal.SIG_IGN)

    before = {number: signal.signal(number, cancel) for number in _END_SIGNALS}
    try:
        yield seal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class PauseWish:
    """Remembers that somebody sent `PAUSE_SIGNAL`; made in the main thread, it then says so to whoever calls it."""

    def __init__(self) -> None:
        self._has_come = False
        signal.signal(PAUSE_SIGNAL, self._note)

    def __call__(self) -> bool:
        return self._has_come

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._has_come = True
