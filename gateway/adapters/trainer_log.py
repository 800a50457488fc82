"""The trainer's own words, as far as they may go to a job's owner: without folders and addresses of this machine."""

import os
import re
from pathlib import Path

__all__ = ["blur", "summarize_log"]

_TAIL_BYTES = 8_192
_LINES = 4
_CHARACTERS = 600

_QUOTED_PATH = re.compile(r"""(?P<quote>["'])(?:~|\.{0,2})/[^"'\n]*?(?P<name>[^"'/\n]*)(?P=quote)""")
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>()]+")
_PATH = re.compile(r"(?<![\w/…])(?:~|\.{0,2})/(?:[^\s:'\",;()\[\]<>]*/)*(?P<name>[^\s/:'\",;()\[\]<>]*)")
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\d)|\[[0-9a-fA-F]*:[0-9a-fA-F:.]*\](?::\d+)?|"
    r"\b[A-Za-z][\w-]*(?:\.[\w-]+)*:\d{2,5}\b|0x[0-9a-fA-F]{6,}"
)


def blur(text: str) -> str:
    """Return `text` with the last name of each path only, and without hosts, ports and memory addresses."""
    text = _URL.sub("…", text)
    text = _QUOTED_PATH.sub(r"\g<quote>…/\g<name>\g<quote>", text)
    text = _PATH.sub(r"…/\g<name>", text)
    return _ADDRESS.sub("…", text)


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
