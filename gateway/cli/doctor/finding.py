"""The result of one check."""

from enum import StrEnum

import msgspec

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True):
    """`fix` says what to do; it is empty only where nothing is wrong."""

    name: str
    level: Level
    message: str
    fix: str = ""

    @classmethod
    def ok(cls, name: str, message: str) -> "Finding":
        return cls(name, Level.OK, message)

    @classmethod
    def warning(cls, name: str, message: str, fix: str) -> "Finding":
        return cls(name, Level.WARNING, message, fix)

    @classmethod
    def broken(cls, name: str, message: str, fix: str) -> "Finding":
        return cls(name, Level.BROKEN, message, fix)
