"""The kinds of sources: how each is opened, and which places a tenant may name."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from gateway.settings import Settings
from gateway.sources.bucket import find_bucket, open_bucket
from gateway.sources.folder import open_folder, resolve_folder
from gateway.sources.git_repository import check_repository, open_repository
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import Reader
from gateway.sources.repository_credentials import find_private_place
from gateway.sources.schemas import ORIGIN, Bucket, Folder, Origin, Repository, Site
from gateway.sources.tables import SourceRow
from gateway.sources.web_site import check_site, open_site

__all__ = ["OriginCheck", "SourceOpener", "allow_origins"]

OriginCheck = Callable[[Origin, str], None]
"""Raises `SourceUnreadable` for an origin that a tenant of this name may not read; it may read the disk."""


def allow_origins(settings: Settings) -> OriginCheck:
    """Return the check of an origin by the operator's settings. What may change after it is checked at each sync."""

    def check(origin: Origin, tenant: str) -> None:
        match origin:
            case Folder():
                resolve_folder(settings.source_folders, origin.path, tenant)
            case Repository():
                place = find_private_place(settings.source_repositories, origin.url, tenant)
                check_repository(origin.url, origin.branch, ("https",) if place is None else (place.protocol,))
            case Site():
                check_site(origin.url)
            case Bucket():
                find_bucket(settings.source_buckets, origin.url, tenant)

    return check


class SourceOpener:
    """Opens a source of any kind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses = PublicAddresses(settings.source_networks)

    def __call__(self, source: SourceRow, tenant: str) -> AbstractAsyncContextManager[Reader]:
        paths = PathFilter(source.include, source.exclude, hidden=source.hidden)
        origin = ORIGIN.validate_python(source.origin)
        work = self._settings.home.resolve() / "work" / source.id
        match origin:
            case Folder():
                return open_folder(self._settings.source_folders, origin.path, tenant, paths)
            case Repository():
                place = find_private_place(self._settings.source_repositories, origin.url, tenant)
                credential = None if place is None else place.open()
                return open_repository(
                    *(origin.url, origin.branch, paths, self._addresses, work), credential=credential
                )
            case Bucket():
                return open_bucket(self._settings.source_buckets, origin.url, tenant, paths)
            case Site():
                return open_site(
                    *(origin.url, origin.depth, origin.pages, paths, self._addresses, work), position=source.position
                )
