"""The profile in which commands on this machine find the gateway that was started here."""

import os
from pathlib import Path

import msgspec

__all__ = ["Profile"]


class Profile(msgspec.Struct, frozen=True):
    """`<home>/run/client.json`, readable by its owner only.

    `key` is None where `braid up` met a database whose admin key had been shown already and isn't kept here.
    """

    url: str
    key: str | None = None

    @staticmethod
    def locate_file(home: Path) -> Path:
        return home / "run" / "client.json"

    @classmethod
    def load(cls, home: Path) -> "Profile | None":
        try:
            return msgspec.json.decode(cls.locate_file(home).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def save(self, home: Path) -> None:
        """Replace the file in one step, so that no reader sees half of it and nobody else can open it."""
        file = self.locate_file(home)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(msgspec.json.encode(self))
        partial.replace(file)
