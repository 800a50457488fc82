"""The terminal of a person who runs Braid: data on stdout, talk and logs on stderr, and exit statuses."""

import contextlib
import errno
import logging
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TextIO, cast

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

__all__ = [
    "CommandError",
    "Exit",
    "LogStream",
    "configure_logs",
    "open_console",
    "print_json",
    "print_table",
    "print_text",
    "say",
]

_WIDTH = 120  # of a log, where no terminal says how wide it is


class Exit(IntEnum):
    """Exit statuses of `braid`, one for each kind of trouble. Scripts may rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6


class CommandError(Exception):
    """An expected failure: its message is shown without a traceback, and says what to do next."""

    def __init__(self, message: str, exit: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit = exit


class LogStream:
    """Stderr, as logs are written to it: what it doesn't take is lost, instead of failing whatever the line tells of.

    It is a file where `braid up` starts a process, and that file's disk may be full.
    """

    def write(self, text: str) -> int:
        """Write what can be written, and return the number of characters."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def open_console() -> Console:
    """Return the terminal for people; it writes plain lines where it is none."""
    # Without emoji: an adapter's name such as ft:base:kestrel:house:… has a part between colons.
    width = None if sys.stderr.isatty() else _WIDTH
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, width=width)


def say(text: str) -> None:
    """Tell the person at the terminal, without touching the data on stdout; what a full disk doesn't take is lost."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def print_text(text: str, end: str = "\n") -> None:
    """Write data to stdout."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Write what msgspec can encode to stdout, indented."""
    print_text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: drawn for a terminal, tab-separated without one, so that `cut` and `awk` can read it.

    The columns' names are for people then, and go to stderr: a log that takes both says what its figures are.
    """
    if not sys.stdout.isatty():
        say("\t".join(columns))
        for row in rows:
            print_text("\t".join(map(str, row)))
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(str, row))
    Console(highlight=False, emoji=False).print(table)


def configure_logs(level: str, *, quiet: bool = False) -> None:
    """Write logs to stderr as JSON, or for people on a terminal; `quiet` keeps only errors.

    Libraries' own lines have the same form, and the id of the request that they belong to.
    """
    threshold = logging.ERROR if quiet else logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer = (
        # Without the values of locals: they hold keys and documents.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    if not sys.stderr.isatty():
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LogStream())),
    )
    handler = logging.StreamHandler(LogStream())
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(
        formatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[formatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler])
