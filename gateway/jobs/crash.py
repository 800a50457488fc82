"""Where tests of recovery kill a worker: the one place that knows about it."""

import os
import signal

__all__ = ["crash_point"]


def crash_point(step: str) -> None:
    """Die as from `kill -9` if the environment's `BRAID_TEST_CRASH_AT` names this step; otherwise do nothing."""
    if os.environ.get("BRAID_TEST_CRASH_AT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
