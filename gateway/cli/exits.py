"""How a command ends: one exit status for each kind of trouble, and errors that carry it."""

from enum import IntEnum

__all__ = ["CliError", "Exit"]


class Exit(IntEnum):
    """Scripts may rely on these."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6


class CliError(Exception):
    """An expected failure: its message is shown without a traceback, and says what to do next."""

    def __init__(self, message: str, exit: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit = exit
