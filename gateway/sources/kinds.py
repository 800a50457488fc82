"""The kinds of sources: how each is opened, and which places a tenant may name."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from gateway.settings import Settings
from gateway.sources.folder import open_folder, resolve_folder
from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import Reader
from gateway.sources.schemas import Folder, Origin
from gateway.sources.tables import SourceRow

__all__ = ["OriginCheck", "SourceOpener", "allow_origins"]

OriginCheck = Callable[[Origin, str], None]
"""Raises `SourceUnreadable` for an origin that a tenant of this name may not read; it may read the disk."""


def allow_origins(settings: Settings) -> OriginCheck:
    """Return the check of an origin by the operator's settings. What may change after it is checked at each sync."""

    def check(origin: Origin, tenant: str) -> None:
        resolve_folder(settings.source_folders, origin.path, tenant)

    return check


class SourceOpener:
    """Opens a source of any kind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, source: SourceRow, tenant: str) -> AbstractAsyncContextManager[Reader]:
        paths = PathFilter(source.include, source.exclude, hidden=source.hidden)
        origin = Folder.model_validate(source.origin)
        return open_folder(self._settings.source_folders, origin.path, tenant, paths)
