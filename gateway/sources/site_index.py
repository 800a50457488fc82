"""The pages that a site lists of its own: its sitemaps, and `llms.txt`."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from protego import Protego

from gateway.sources.reader import ItemUnreadable, SourceBusy, SourceUnreadable
from gateway.sources.web_client import RedirectForbidden, WebClient, WebResponse, find_end_of_wait, normalize
from gateway.sources.web_list import (
    MOST_URLS,
    SiteList,
    SitemapUnreadable,
    read_llms_txt,
    read_robots,
    read_sitemap,
)

__all__ = ["SiteIndex", "is_list", "read_site_index", "read_site_robots"]

_SITEMAPS = 50
_SITEMAP_ENDINGS = (".xml", ".xml.gz")


@dataclass(slots=True)
class SiteIndex:
    """The pages that the site lists, in its order, each with the list that named it; none where it has no list.

    `lists` are those that could be read; `whole`: with all that they name. `busy_until` are the Unix seconds before
    which the site says that another one of them can't be had.
    """

    pages: dict[str, str] = field(default_factory=dict[str, str])
    lists: set[str] = field(default_factory=set[str])
    whole: bool = True
    busy_until: float | None = None

    def add(self, name: str, content: SiteList) -> None:
        for url in content.pages:
            if len(self.pages) == MOST_URLS and url not in self.pages:
                self.whole = False
                return
            self.pages.setdefault(url, name)
        self.whole &= content.whole


def is_list(path: str) -> bool:
    """Tell whether a source's path is that of a list, whose pages are meant, wherever they are on the site."""
    return path.endswith((*_SITEMAP_ENDINGS, "llms.txt"))


async def read_site_robots(client: WebClient, start: str, may_ask: Callable[[str], bool]) -> Protego:
    """Read the site's rules. Where it has none, all is allowed; where they can't be read, nothing is.

    Raises:
        SourceUnreadable: They can't be read.
    """
    try:
        answer = await client.get(normalize("/robots.txt", start) or "", may_ask)
    except RedirectForbidden:
        return Protego.parse("")
    except ItemUnreadable as error:
        raise SourceUnreadable(f"The site's robots.txt can't be read: {error}") from error
    if answer.status >= 500 or answer.status == 429:
        raise _refuse(answer, "robots.txt")
    return await asyncio.to_thread(read_robots, answer) if answer.status == 200 else Protego.parse("")


async def read_site_index(
    client: WebClient, start: str, announced: Sequence[str], may_ask: Callable[[str], bool]
) -> SiteIndex:
    """Read the lists of a site.

    Args:
        client: Asks the site.
        start: The source's page, or the one list that it is.
        announced: The sitemaps that `robots.txt` names; without any, the usual place is looked at.
        may_ask: Whether a URL may be asked for.

    Raises:
        SourceUnreadable: A list can't be had now, or `start` isn't the list that its name promises.
    """
    index = SiteIndex()
    reader = _Reader(client, may_ask, index)
    path = urlsplit(start).path
    if path.endswith("llms.txt"):
        await reader.read_llms(start)
    elif path.endswith(_SITEMAP_ENDINGS):
        await reader.read_sitemaps([start])
    elif not path.endswith("llms-full.txt"):
        await reader.read_sitemaps(announced or [normalize("/sitemap.xml", start) or ""])
        await reader.read_llms(normalize("/llms.txt", start) or "")
    if index.lists and not index.pages and not index.whole:
        reason = "None of the sitemaps that the site's sitemap names can be read."
        raise SourceUnreadable(reason) if index.busy_until is None else SourceBusy(index.busy_until, reason)
    if is_list(path) and start not in index.lists:
        raise SourceUnreadable(f"{path} can't be read as the list of pages that its name promises.")
    return index


class _Reader:
    def __init__(self, client: WebClient, may_ask: Callable[[str], bool], index: SiteIndex) -> None:
        self._client = client
        self._may_ask = may_ask
        self._index = index

    async def read_llms(self, url: str) -> None:
        try:
            answer = await self._get(url)
        except _NoList:
            return
        if not answer.headers.get("content-type", "").startswith("text/html"):
            self._index.lists.add(url)
            self._index.add(url, await asyncio.to_thread(read_llms_txt, answer))

    async def read_sitemaps(self, urls: Sequence[str]) -> None:
        """Read sitemaps, and those that they name; where one of these is missing, the index isn't whole."""
        queue, known_urls = deque((url, url) for url in dict.fromkeys(urls)), set(urls)
        for _ in range(_SITEMAPS):
            if not queue:
                return
            url, name = queue.popleft()
            try:
                content = await asyncio.to_thread(read_sitemap, await self._get(url))
            except (_NoList, SitemapUnreadable):
                self._index.whole &= url == name
                continue
            except SourceUnreadable as error:
                if url == name:
                    raise
                self._index.whole = False
                if isinstance(error, SourceBusy):
                    self._index.busy_until = error.until or self._index.busy_until
                continue
            if url == name:
                self._index.lists.add(name)
            self._index.add(name, content)
            for one in content.lists:
                if one not in known_urls:
                    known_urls.add(one)
                    queue.append((one, name))
        self._index.whole &= not queue

    async def _get(self, url: str) -> WebResponse:
        """Get a list; one that isn't there is a `_NoList`, one that can't be had now a `SourceUnreadable`."""
        if not self._may_ask(url):
            raise _NoList("The list isn't of the site, or its robots.txt forbids it.")
        try:
            answer = await self._client.get(url, self._may_ask)
        except RedirectForbidden:
            raise _NoList("The site's list of pages is elsewhere.") from None
        except ItemUnreadable as error:
            raise SourceUnreadable(f"{urlsplit(url).path} can't be read: {error}") from error
        if answer.status in (401, 403, 404, 410):
            raise _NoList(f"The site has no {urlsplit(url).path}.")
        if answer.status != 200:
            raise _refuse(answer, urlsplit(url).path)
        return answer


def _refuse(answer: WebResponse, path: str) -> SourceUnreadable:
    """Return the error for a file of the site that can't be had, with when it can be, if the site says so."""
    reason, until = f"The site answers {path} with status {answer.status}.", find_end_of_wait(answer)
    return SourceUnreadable(reason) if until is None else SourceBusy(until, reason)


class _NoList(SourceUnreadable):
    """There is no such list."""
