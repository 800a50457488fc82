"""The access log: one line per request, written in batches beside the hot path."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from gateway.terminal import LogStream

__all__ = ["AccessLine", "AccessLog"]

_BATCH_SECONDS = 0.2


def _now() -> datetime:
    return datetime.now(UTC)


class AccessLine(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, tag_field="event", tag="request"):
    """One request that has ended, with its route's template and never its path.

    `status` is 0 where the client left before an answer began, and `cut` says that the answer's end was never sent.
    `tenant`, `answer` and an error's `code` are there where they are known.
    """

    request: str
    method: str
    route: str
    status: int
    ms: float
    level: str  # without a default, which would leave it out
    timestamp: datetime = msgspec.field(default_factory=_now)
    tenant: str = ""
    answer: str = ""
    code: str = ""
    cut: bool = False


class AccessLog:
    """Writes lines of JSON with the members of the other log lines, at most 0.2 s late."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or _write_out
        self._encoder = msgspec.json.Encoder()
        self._lines: list[AccessLine] = []

    def put(self, line: AccessLine) -> None:
        """Queue a line."""
        if not self._lines:
            asyncio.get_running_loop().call_later(_BATCH_SECONDS, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what waits; the end of the process calls it too."""
        lines, self._lines = self._lines, []
        if lines:
            self._write(self._encoder.encode_lines(lines).decode())


def _write_out(text: str) -> None:
    stream = LogStream()
    stream.write(text)
    stream.flush()
