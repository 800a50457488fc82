"""Identifiers as clients see them: a prefix that tells the kind, the time, and random bits."""

import os
import time

__all__ = ["new_id"]


def new_id(prefix: str) -> str:
    """Make an identifier such as `file-…` or `vs_…`; `prefix` carries its own separator.

    Its first 13 digits are the Unix time in microseconds, so ids sort by creation even within one second.
    """
    return f"{prefix}{time.time_ns() // 1000:013x}{os.urandom(6).hex()}"
