"""Logging of the processes that serve: lines on stderr, so that stdout stays for data."""

import logging
import sys

import structlog

__all__ = ["configure_logs"]


def configure_logs(level: str, *, quiet: bool = False) -> None:
    """Write logs to stderr as JSON, or for people on a terminal; `quiet` keeps only what is wrong."""
    chosen = logging.ERROR if quiet else logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(chosen),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=chosen, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
