"""A web site: the pages that it lists itself (a sitemap, `llms.txt`), or else those that its links lead to."""

import asyncio
import hashlib
import shutil
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from protego import Protego

from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable
from gateway.sources.web_client import AGENT, Answer, RedirectForbidden, WebClient, normalize, open_web_client
from gateway.sources.web_page import PageFacts, SitemapUnreadable, read_llms_txt, read_page, read_sitemap, read_text

__all__ = ["SiteReader", "check_site", "open_site"]

_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_SECONDS = 3600.0
_SITEMAPS = 50
_ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
}
"""By media type: those that are documents, and how the file's name ends.

Not all that `retrieval.parsers.formats` reads: a site's scripts, styles, data and pictures are no documents.
"""

_SAME = {".html": (".html", ".htm", ".xhtml"), ".md": (".md", ".markdown"), ".txt": (".txt", ".md", ".rst")}


class _Version(msgspec.Struct, frozen=True):
    """A page's version: its URL, the two marks by which a server tells that it is the same, and the bytes' SHA-256."""

    url: str
    etag: str
    modified: str
    digest: str


def check_site(url: str) -> str:
    """Return a site's URL as it is asked for.

    Raises:
        SourceUnreadable: It is none, or has a name or password in it.
    """
    normal = normalize(url)
    if normal is None or not url.isprintable():
        raise SourceUnreadable("A site's address has the form https://host/path, without a name or password.")
    return normal


@asynccontextmanager
async def open_site(
    url: str,
    depth: int,
    pages: int,
    paths: PathFilter,
    addresses: PublicAddresses,
    work: Path,
    *,
    pause: float = _PAUSE_SECONDS,
) -> AsyncGenerator["SiteReader"]:
    """Open a site as a source.

    Args:
        url: The page to begin at; pages beside and below it belong to the source. An address that ends in `.xml` or
            `llms.txt` is a list, and every page of the site that it names belongs.
        depth: The links to follow from there, where the site has no list.
        pages: The most pages.
        paths: The pages to take, by their keys.
        addresses: Where it may be.
        work: A folder of this source alone; what is there is removed, before and after.
        pause: Seconds between two requests; `robots.txt` may ask for more.
    """
    start = check_site(url)
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    await asyncio.to_thread(work.mkdir, parents=True)
    try:
        async with open_web_client(addresses, pause) as client:
            yield SiteReader(client, start, depth, pages, paths, work)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


@dataclass(slots=True)
class _Visit:
    """A listing so far."""

    known: Mapping[str, tuple[str, _Version]]
    """By URL: key and version of the last sync."""
    items: dict[str, str] = field(default_factory=dict[str, str])
    unread: dict[str, str] = field(default_factory=dict[str, str])
    whole: bool = True


class SiteReader:
    """Reads the pages of a site, in the order in which it lists or links them."""

    def __init__(self, client: WebClient, start: str, depth: int, pages: int, paths: PathFilter, work: Path) -> None:
        self._client = client
        self._start = start
        self._depth = depth
        self._pages = pages
        self._paths = paths
        self._work = work
        self._robots = Protego.parse("")
        path = urlsplit(start).path
        listed = path.endswith((".xml", "llms.txt"))
        self._scope = "/" if listed else path[: path.rfind("/") + 1]
        self._urls: dict[str, str] = {}

    async def scan(self, known: Mapping[str, str]) -> Listing:
        """Visit the site's pages; those that the site says are unchanged aren't sent again."""
        self._robots = await self._read_robots()
        delay = self._robots.crawl_delay(AGENT)
        self._client.pause = min(max(self._client.pause, delay or 0.0), _LONGEST_PAUSE_SECONDS)
        versions = {key: msgspec.json.decode(text, type=_Version) for key, text in known.items()}
        visit = _Visit({version.url: (key, version) for key, version in versions.items()})
        listed = await self._find_pages()
        queue = deque((url, 0) for url in (listed or [self._start]))
        await self._walk(visit, queue, listed=bool(listed))
        if not visit.items and not visit.unread:
            raise SourceUnreadable(
                "No page of the site can be taken. See whether the address is right, and what its robots.txt says."
            )
        return Listing(visit.items, visit.unread, whole=visit.whole, urls=self._urls)

    async def _walk(self, visit: _Visit, queue: deque[tuple[str, int]], *, listed: bool) -> None:
        """Visit pages and, unless the site listed them, those that they link to."""
        seen = {url for url, _ in queue}
        until = time.monotonic() + _SECONDS
        while queue:
            if len(visit.items) + len(visit.unread) >= self._pages or time.monotonic() > until:
                visit.whole = False  # what is behind wasn't looked at, and may be there
                break
            url, depth = queue.popleft()
            links = await self._visit(visit, url, leaf=listed or depth >= self._depth)
            for link in links:
                if link not in seen and self._belongs(link):
                    seen.add(link)
                    queue.append((link, depth + 1))

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield a page's bytes; one that was unchanged is asked for now."""
        file = self._file(key)
        if await asyncio.to_thread(file.exists):
            yield await asyncio.to_thread(file.read_bytes)
            return
        try:
            answer = await self._client.get(self._urls[key], self._may_ask)
        except RedirectForbidden:
            raise ItemUnreadable("It redirects elsewhere by now.") from None
        if answer.status != 200:
            raise ItemUnreadable(f"The site answers with status {answer.status}.")
        yield answer.body

    async def _visit(self, visit: _Visit, url: str, *, leaf: bool) -> Sequence[str]:
        """Visit a page and return its links; a `leaf`'s aren't needed, so it is only sent if it has changed."""
        if not self._may_ask(url):
            return []
        before = visit.known.get(url)
        headers: dict[str, str] = {}
        if leaf and before is not None:
            marks = {"if-none-match": before[1].etag, "if-modified-since": before[1].modified}
            headers = {name: value for name, value in marks.items() if value}
        try:
            answer = await self._client.get(url, self._may_ask, headers)
        except RedirectForbidden:
            return []
        except ItemUnreadable as error:
            self._miss(visit, url, str(error), leaf=leaf)
            return []
        if answer.status == 304 and before is not None:
            self._take(visit, before[0], before[1])
            return []
        if answer.status in (404, 410):
            return []
        if answer.status != 200:
            self._miss(visit, url, f"The site answers with status {answer.status}.", leaf=leaf)
            return []
        links = await self._keep(visit, answer)
        return [] if leaf else links

    async def _keep(self, visit: _Visit, answer: Answer) -> Sequence[str]:
        media = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        ending = _ENDINGS.get(media)
        if ending is None:
            return []
        facts = read_page(answer) if ending == ".html" else PageFacts()
        canonical = facts.canonical or answer.url
        address = canonical if self._belongs(canonical) else answer.url
        key = _key(address, ending)
        if facts.keep and self._paths.takes(key) and key not in visit.items:
            digest = hashlib.sha256(answer.body).hexdigest()
            marks = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
            self._take(visit, key, _Version(answer.url, *marks, digest))
            await asyncio.to_thread(self._file(key).write_bytes, answer.body)
        return facts.links if facts.follow else []

    def _take(self, visit: _Visit, key: str, version: _Version) -> None:
        if self._paths.takes(key):
            visit.items[key] = msgspec.json.encode(version).decode()
            self._urls[key] = version.url

    def _miss(self, visit: _Visit, url: str, reason: str, *, leaf: bool) -> None:
        """Note a page that can't be read now; so can't the pages be found that only it links to."""
        key = visit.known[url][0] if url in visit.known else _key(url, "")
        if self._paths.takes(key):
            visit.unread[key] = reason
        visit.whole &= leaf

    async def _find_pages(self) -> list[str]:
        """Return the pages that the site lists of its own, in its order; none where it has no list."""
        path = urlsplit(self._start).path
        if path.endswith("llms-full.txt"):
            return [self._start]
        if path.endswith("llms.txt"):
            return self._choose(read_llms_txt(await self._get_list(self._start)))
        if path.endswith(".xml"):
            return self._choose(await self._read_sitemaps([self._start], strict=True))
        announced = [url for text in self._robots.sitemaps if (url := normalize(text, self._start)) is not None]
        pages = await self._read_sitemaps(announced or [normalize("/sitemap.xml", self._start) or ""], strict=False)
        pages += await self._read_llms()
        chosen = self._choose(pages)
        return list(dict.fromkeys([self._start, *chosen])) if chosen else []

    def _choose(self, urls: Sequence[str]) -> list[str]:
        return [url for url in dict.fromkeys(urls) if self._belongs(url)]

    async def _read_sitemaps(self, urls: Sequence[str], *, strict: bool) -> list[str]:
        """Return the pages of sitemaps, and of those that they name. `strict`: the first has to be one."""
        queue, seen, pages = deque(urls), set(urls), list[str]()
        while queue and len(seen) <= _SITEMAPS:
            url = queue.popleft()
            if not self._is_same_site(url):
                continue
            try:
                listed, more = read_sitemap(await self._get_list(url))
            except (_NoList, SitemapUnreadable) as error:
                if strict or len(seen) > len(urls):  # a part of the list is missing, and its pages aren't gone
                    raise SourceUnreadable(f"The sitemap {urlsplit(url).path} can't be read.") from error
                continue
            pages += listed
            for one in more:
                if one not in seen:
                    seen.add(one)
                    queue.append(one)
        return pages

    async def _read_llms(self) -> list[str]:
        try:
            answer = await self._get_list(normalize("/llms.txt", self._start) or "")
        except _NoList:
            return []
        return [] if answer.headers.get("content-type", "").startswith("text/html") else read_llms_txt(answer)

    async def _get_list(self, url: str) -> Answer:
        """Get a list; one that isn't there is a `_NoList`, one that can't be had now ends the sync."""
        try:
            answer = await self._client.get(url, self._may_ask)
        except RedirectForbidden:
            raise _NoList("The site's list of pages is elsewhere.") from None
        except ItemUnreadable as error:
            raise SourceUnreadable(f"{urlsplit(url).path} can't be read: {error}") from error
        if answer.status in (401, 403, 404, 410):
            raise _NoList(f"The site has no {urlsplit(url).path}.")
        if answer.status != 200:
            raise SourceUnreadable(f"The site answers {urlsplit(url).path} with status {answer.status}.")
        return answer

    async def _read_robots(self) -> Protego:
        """Read the site's rules. Where it has none, all is allowed; where they can't be read, nothing is."""
        try:
            answer = await self._client.get(normalize("/robots.txt", self._start) or "", self._is_same_site)
        except RedirectForbidden:
            return Protego.parse("")
        except ItemUnreadable as error:
            raise SourceUnreadable(f"The site's robots.txt can't be read: {error}") from error
        if answer.status >= 500 or answer.status == 429:
            raise SourceUnreadable(f"The site answers robots.txt with status {answer.status}.")
        return Protego.parse(read_text(answer) if answer.status == 200 else "")

    def _is_same_site(self, url: str) -> bool:
        mine, other = urlsplit(self._start), urlsplit(url)
        hosts = [(parts.hostname or "").removeprefix("www.") for parts in (mine, other)]
        ports = {mine.port, other.port}
        return hosts[0] == hosts[1] and (len(ports) == 1 or ports <= {None, 80, 443})

    def _may_ask(self, url: str) -> bool:
        return self._is_same_site(url) and self._robots.can_fetch(url, AGENT)

    def _belongs(self, url: str) -> bool:
        return self._may_ask(url) and urlsplit(url).path.startswith(self._scope)

    def _file(self, key: str) -> Path:
        return self._work / hashlib.sha256(key.encode()).hexdigest()


class _NoList(SourceUnreadable):
    """There is no such list."""


def _key(url: str, ending: str) -> str:
    """Return the key of a page: its path, with an ending that tells its format."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    if not path or path.endswith("/"):
        path += "index"
    if parts.query:
        path += "@" + unquote(parts.query).replace("/", "_")
    if not path.lower().endswith(_SAME.get(ending, (ending,))):
        path += ending
    return "".join(character if character.isprintable() else "_" for character in path)
