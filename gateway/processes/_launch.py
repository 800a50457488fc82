"""Runs between fork and the real program, as a script: `python -I _launch.py PARENT SESSION_FILE COMMAND…`.

It does what a preexec hook would, without the risk of running Python in a forked copy of a threaded process: it tells
the kernel to end this child when its parent dies, and leaves a note of the session for whoever has to clean up.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, note, *command = arguments
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("The supervisor ended before its child had started.")
    # Field 22 of stat, counted behind the name in brackets: the start time, which tells this process from a later one
    # with the same number.
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    temporary = Path(f"{note}.{os.getpid()}")
    temporary.write_text(f"{os.getpid()} {start} {boot}\n")
    temporary.replace(note)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} can't be run: {error.strerror}.")


if __name__ == "__main__":
    main(sys.argv[1:])
