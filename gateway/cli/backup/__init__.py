"""`braid backup` and `braid restore`: database, artifacts and index as they belong together."""

from gateway.cli.backup.command import backup, restore

__all__ = ["backup", "restore"]
