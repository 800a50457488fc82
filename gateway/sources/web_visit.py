"""A visit to a site: what is known of its pages from the last time, and what was seen of them so far."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from gateway.sources.page_key import mark_key
from gateway.sources.web_client import Hop

__all__ = ["KnownPage", "PageVersion", "SiteVisit"]

_AWAY = "It redirects elsewhere for now."


class PageVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page as it was put: its URL, the two marks by which a server tells that it is the same, the bytes' SHA-256.

    `request` is the URL that was asked for before any redirect, `address` the one that the page calls its own, and
    `list` the list that named it. Versions of earlier releases have none of the three.
    """

    url: str
    etag: str
    modified: str
    digest: str
    request: str = ""
    address: str = ""
    list: str = ""


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page's key, and its version of the last sync."""

    key: str
    version: PageVersion


@dataclass(slots=True)
class SiteVisit:
    """A listing so far; the same members as `Listing` has."""

    known_pages: Sequence[KnownPage]
    items: dict[str, PageVersion] = field(default_factory=dict[str, PageVersion])
    unread: dict[str, str] = field(default_factory=dict[str, str])
    unread_until: dict[str, float] = field(default_factory=dict[str, float])
    absent_keys: set[str] = field(default_factory=set[str])
    whole: bool = True
    _doubted: set[str] = field(default_factory=set[str])
    _by_url: dict[str, list[KnownPage]] = field(init=False)
    _by_name: dict[str, list[KnownPage]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_url, self._by_name = defaultdict(list), defaultdict(list)
        for page in self.known_pages:
            version = page.version
            self._by_url[version.url].append(page)
            for name in {version.request, version.url, version.address} - {""}:
                self._by_name[name].append(page)

    @classmethod
    def open(cls, last_versions: Mapping[str, str]) -> "SiteVisit":
        return cls([KnownPage(key, msgspec.json.decode(text, type=PageVersion)) for key, text in last_versions.items()])

    @property
    def lists(self) -> set[str]:
        """The lists that named pages the last time."""
        return {page.version.list for page in self.known_pages} - {""}

    @property
    def is_older(self) -> bool:
        """Whether it isn't known which list named a page."""
        return any(not page.version.address for page in self.known_pages)

    def find(self, url: str) -> KnownPage | None:
        """Find the page that was read last when this URL was asked for."""
        pages = self._by_name.get(url, ())
        return min(pages, key=lambda page: (page.version.request != url, page.version.url != url), default=None)

    def has(self, address: str, digest: str) -> bool:
        """Tell whether the page of an address was kept with these bytes, now or the last time."""
        pages = chain(self.items.values(), (page.version for page in self.known_pages))
        return any(page.address == address and page.digest == digest for page in pages)

    def place(self, plain: str, version: PageVersion) -> str | None:
        """Return the key under which a page is to be kept; None for one that is kept already.

        A page that isn't another one, by its address or its bytes, has the plain key. Of two that would have the same,
        the second one's is marked.
        """
        marked_key = mark_key(plain, version.address)
        before = self.find(version.request)
        keys = (marked_key, plain) if before is not None and before.key == marked_key else (plain, marked_key)
        for key in keys:
            other = self.items.get(key)
            if other is None:
                return key
            if version.address == other.address or version.digest == other.digest:
                return None
        return None

    def finish(self) -> None:
        """Let each page be one thing: what is there isn't unread, and what may be there isn't gone."""
        self.unread = {key: reason for key, reason in self.unread.items() if key not in self.items}
        self.absent_keys -= self.items.keys() | self.unread.keys()

    def count_known(self) -> int:
        """Count the pages of the last time that are still there, for all that was seen of them."""
        return len(self.known_pages) - len(self.absent_keys - self.items.keys() - self.unread.keys())

    def miss(self, url: str, reason: str, until: float | None = None) -> bool:
        """Note that the pages of a URL can't be read now, before Unix seconds, and tell whether there are any."""
        pages = self._by_name.get(url, ())
        for page in pages:
            self.note_unread(page.key, reason, until)
        return bool(pages)

    def note_unread(self, key: str, reason: str, until: float | None) -> None:
        """Note why a page can't be read now, unless that is known already."""
        if self.unread.setdefault(key, reason) == reason and until is not None:
            self.unread_until[key] = until

    def leave(self, url: str, hops: Sequence[Hop]) -> bool:
        """Note redirects that leave the site, and tell if a page that was read before is only away for now."""
        away = self._follow(hops)
        return away if _are_permanent(hops) else self.miss(url, _AWAY) or away

    def pass_by(self, url: str, hops: Sequence[Hop]) -> bool:
        """Note the redirects to a page of the site, and tell if one that was read before is only away for now.

        Pages that a URL led to before it led here, for now, have to be asked for by their own URLs.
        """
        if not _are_permanent(hops):
            self._doubted.update(page.key for page in self._by_name.get(url, ()))
        return self._follow(hops)

    def lose(self, url: str) -> None:
        """Note that what was read at a URL isn't there any more, unless it is found under its key all the same."""
        self.absent_keys.update(page.key for page in self._by_url.get(url, ()))

    def list_unseen(self) -> list[KnownPage]:
        """List the pages of which nothing was seen, and that may be there all the same."""
        listed_keys = self.items.keys() | self.unread.keys() | self.absent_keys
        pages = [page for page in self.known_pages if page.key not in listed_keys]
        return [page for page in pages if page.key in self._doubted] if self.whole else pages

    def _follow(self, hops: Sequence[Hop]) -> bool:
        away = False
        for hop in hops:
            if hop.permanent:
                self.lose(hop.url)
            elif hop.url in self._by_url:
                away = True
                for page in self._by_url[hop.url]:
                    self.unread.setdefault(page.key, _AWAY)
        return away


def _are_permanent(hops: Sequence[Hop]) -> bool:
    return all(hop.permanent for hop in hops)
