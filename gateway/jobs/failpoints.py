"""Named steps at which tests of recovery kill a process; docs/decisions/0010-failpoints.md gives the reason."""

import os
import signal

__all__ = ["failpoint"]


def failpoint(step: str) -> None:
    """Die as from `kill -9` if the environment's `BRAID_FAILPOINT` names this step; otherwise do nothing."""
    if os.environ.get("BRAID_FAILPOINT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
