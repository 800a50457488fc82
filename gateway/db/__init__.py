"""The database: engine and unit of work, the declarative base, the tenant-scoped repository base."""

from gateway.db.base import Base, Owned
from gateway.db.database import Database, find_sqlite_file, lock, open_database
from gateway.db.recent import Recent
from gateway.db.repository import Page, Repository, read_page, cut_slices, take_fitting

__all__ = [
    "Base",
    "Database",
    "Owned",
    "Page",
    "Recent",
    "Repository",
    "find_sqlite_file",
    "lock",
    "open_database",
    "read_page",
    "cut_slices",
    "take_fitting",
]
