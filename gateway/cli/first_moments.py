"""Ctrl-C while modules are imported, which takes seconds on a busy machine."""

import contextlib
import os
import signal

__all__ = ["FirstMoments"]


class FirstMoments:
    """A block in which Ctrl-C ends the process at once, with the status 130 and without a word.

    An import that a `KeyboardInterrupt` breaks off shows where it was, and some libraries take it for something else.
    Nothing is lost: no command has begun. Where Ctrl-C is ignored, as in a shell's background, or somebody else waits
    for it, it stays so.
    """

    def __init__(self) -> None:
        self._has_taken_over = False

    def __enter__(self) -> None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with contextlib.suppress(ValueError):  # in another thread than the main one, which gets no Ctrl-C
                signal.signal(signal.SIGINT, _end)
                self._has_taken_over = True

    def __exit__(self, *_error: object) -> None:
        if self._has_taken_over:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: object) -> None:
    os._exit(130)
