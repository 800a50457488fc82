"""The trainer's own words, as far as they may go to a job's owner: without folders and addresses of this machine."""

import os
from pathlib import Path

from gateway.errors import blur

__all__ = ["summarize_log"]

_TAIL_BYTES = 8_192
_LINES = 4
_CHARACTERS = 600


def summarize_log(log: Path) -> str:
    """Return a sentence with the last lines of a log, blurred, and the log's name for the operator."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES), os.SEEK_SET)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "It left no log."
    words = [blur(" ".join(line.split())) for line in lines if line.strip()]
    if not words:
        return "Its log is empty."
    end = " | ".join(words[-_LINES:])[-_CHARACTERS:]
    return f"Its log, which the operator has as {log.name}, ends: {end}"
