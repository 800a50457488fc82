"""The database: engine and unit of work, the declarative base, the tenant-scoped repository base."""

from gateway.db.base import Base, OwnedRow
from gateway.db.database import (
    Database,
    explain_full_disk,
    find_sqlite_file,
    is_disk_full,
    is_unavailable,
    lock,
    open_database,
)
from gateway.db.recent import Recent
from gateway.db.repository import (
    Page,
    Repository,
    cut_slices,
    delete_before,
    delete_listed,
    read_page,
    take_fitting,
)

__all__ = [
    "Base",
    "Database",
    "OwnedRow",
    "Page",
    "Recent",
    "Repository",
    "cut_slices",
    "delete_before",
    "delete_listed",
    "explain_full_disk",
    "find_sqlite_file",
    "is_disk_full",
    "is_unavailable",
    "lock",
    "open_database",
    "read_page",
    "take_fitting",
]
