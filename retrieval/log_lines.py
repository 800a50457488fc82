"""The lines that the process logs, each with what it was working for: a client's request, or a worker's job."""

import logging
from contextvars import ContextVar

__all__ = ["CauseFormatter", "limit_warnings", "note_cause", "set_up_log"]

_cause: ContextVar[str] = ContextVar("cause", default="")
_FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"


class CauseFormatter(logging.Formatter):
    """Formats a line with its time, its place and its level, and with the cause in brackets where there is one."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        cause = _cause.get()
        if cause:
            record.message = f"[{cause}] {record.message}"
        return super().formatMessage(record)


def note_cause(cause: str) -> None:
    """Note the id of what this task works for; whatever it begins works for the same."""
    _cause.set(cause)


def set_up_log() -> None:
    """Log to stderr from now on, and from libraries only what an operator needs."""
    handler = logging.StreamHandler()
    handler.setFormatter(CauseFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    limit_warnings()


def limit_warnings() -> None:
    """Keep libraries from advice that nobody here could follow; call it before a model is loaded."""
    # Imported where it is there, with a warning that it fetches no faster kernels, which nothing here would use.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
