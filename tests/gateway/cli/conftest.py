import logging
import sys
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Keep the gateway's log out of a command's output, and undo what a command does to this process's logging."""
    handlers, level = logging.root.handlers[:], logging.root.level
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
