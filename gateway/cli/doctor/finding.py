"""The result of one check of `braid doctor`."""

from enum import StrEnum

import msgspec

__all__ = ["CheckResult", "Level"]


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class CheckResult(msgspec.Struct, frozen=True):
    """A result; `fix` is the next step, and empty only where nothing is wrong."""

    name: str
    level: Level
    message: str
    fix: str = ""

    @classmethod
    def ok(cls, name: str, message: str) -> "CheckResult":
        return cls(name, Level.OK, message)

    @classmethod
    def warning(cls, name: str, message: str, fix: str) -> "CheckResult":
        return cls(name, Level.WARNING, message, fix)

    @classmethod
    def broken(cls, name: str, message: str, fix: str) -> "CheckResult":
        return cls(name, Level.BROKEN, message, fix)
