"""A web site: the pages that it lists itself (a sitemap, `llms.txt`), or else those that its links lead to."""

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from protego import Protego

from gateway.sources.page_key import find_ending, make_key
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import ItemUnreadable, Listing, SourceBusy, SourceUnreadable
from gateway.sources.site_index import is_list, read_site_index, read_site_robots
from gateway.sources.site_walk import SiteStep, SiteWalk, read_position
from gateway.sources.web_client import (
    AGENT,
    RedirectForbidden,
    WebClient,
    WebResponse,
    find_end_of_wait,
    normalize,
    open_web_client,
)
from gateway.sources.web_page import PageFacts, read_page, read_robot_words, write_utf8
from gateway.sources.web_visit import KnownPage, PageVersion, SiteVisit

__all__ = ["SiteReader", "check_site", "open_site"]

_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_SECONDS = 3600.0
_TEMPORARY = (408, 425, 429)
_HOME = re.compile(r"/(?:index\.\w+)?")


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
    position: str | None = None,
    pause: float = _PAUSE_SECONDS,
) -> AsyncGenerator["SiteReader"]:
    """Open a site as a source.

    Args:
        url: The page to begin at; pages beside and below it belong to the source. An address that ends in `.xml`,
            `.xml.gz` or `llms.txt` is a list, and every page of the site that it names belongs.
        depth: The links to follow from there, where the site has no list.
        pages: The most pages.
        paths: The pages to take, by their keys.
        addresses: Where it may be.
        work: A folder of this source alone; what is there is removed, before and after.
        position: Where the last listing stopped, if it did.
        pause: Seconds between two requests; `robots.txt` may ask for more.
    """
    start = check_site(url)
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    await asyncio.to_thread(work.mkdir, parents=True)
    try:
        async with open_web_client(addresses, pause) as client:
            yield SiteReader(client, start, depth, pages, paths, work, position)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


class SiteReader:
    """Reads the pages of a site, in the order in which it lists or links them."""

    def __init__(
        self,
        client: WebClient,
        start: str,
        depth: int,
        pages: int,
        paths: PathFilter,
        work: Path,
        position: str | None = None,
    ) -> None:
        self._client = client
        self._start = start
        self._depth = depth
        self._pages = pages
        self._paths = paths
        self._work = work
        self._position = position
        self._robots = Protego.parse("")
        path = urlsplit(start).path
        self._scope = "/" if is_list(path) else path[: path.rfind("/") + 1]
        self._urls: dict[str, str] = {}

    async def scan(self, last_versions: Mapping[str, str]) -> Listing:
        """Visit the site's pages; those that the site says are unchanged aren't sent again."""
        visit = SiteVisit.open(last_versions)
        self._robots = await read_site_robots(self._client, self._start, self._is_same_site)
        delay = self._robots.crawl_delay(AGENT)
        self._client.pause = min(max(self._client.pause, delay or 0.0), _LONGEST_PAUSE_SECONDS)
        announced = [url for text in self._robots.sitemaps if (url := normalize(text, self._start)) is not None]
        index = await read_site_index(self._client, self._start, announced, self._is_same_site)
        visit.whole = index.whole and not visit.is_older and visit.lists <= index.lists
        pages = {url: name for url, name in index.pages.items() if self._belongs(url)}
        if pages and not is_list(urlsplit(self._start).path):
            pages = {self._start: pages.get(self._start, ""), **pages}
        position = await self._walk(visit, pages)
        visit.finish()
        if not (visit.items or visit.unread or visit.absent_keys):
            if self._client.is_refused:
                raise SourceBusy(self._client.busy_until)
            raise SourceUnreadable(
                "No page of the site can be taken. See whether the address is right, and what its robots.txt says."
            )
        self._urls = {key: version.url for key, version in visit.items.items()}
        items = {key: msgspec.json.encode(version).decode() for key, version in visit.items.items()}
        return Listing(
            items,
            visit.unread,
            whole=visit.whole,
            absent_keys=visit.absent_keys,
            unread_until=visit.unread_until,
            urls=self._urls,
            busy_until=self._client.busy_until,
            position=position,
        )

    async def _walk(self, visit: SiteVisit, pages: Mapping[str, str]) -> str | None:
        """Visit the pages that the site lists, else those that links lead to, and those that may be there besides.

        Returns:
            The position at which the site had to be left alone, or time was over.
        """
        until = time.monotonic() + _SECONDS
        last_steps = [step for step in read_position(self._position) if self._belongs(step.url)]
        walk = SiteWalk.begin(visit, self._start, self._depth, pages, last_steps)
        visit.whole &= walk.is_listed or not walk.is_resumed  # else what leads to its steps isn't looked at
        is_full = await self._take_steps(visit, walk, until)
        if not walk.steps:
            walk.add_unseen(visit)
            is_full = await self._take_steps(visit, walk, until)
        visit.whole &= not walk.steps  # what is behind wasn't looked at, and may be there
        stops = not is_full and (walk.steps or self._client.is_refused)
        return walk.write_position(self._pages) if stops else None

    async def _take_steps(self, visit: SiteVisit, walk: SiteWalk, until: float) -> bool:
        """Take steps until none is left or it is enough; return whether there are as many pages as are to be taken."""
        new_count = 0
        while walk.steps:
            if self._client.is_refused or time.monotonic() > until:
                return False
            before = len(visit.items) + len(visit.unread)
            if before >= self._pages:
                return True
            step = walk.steps.popleft()
            is_new = visit.find(step.url) is None
            if is_new and walk.is_resumed and visit.count_known() + new_count >= self._pages:
                visit.whole = False  # those that aren't looked at now count as well
                continue
            leaf = walk.is_leaf(step)
            links = await self._visit(visit, step.url, step.list, leaf=leaf)
            new_count += is_new and len(visit.items) + len(visit.unread) > before
            walk.note_answer(step, refused=self._client.is_refusing)
            more = [link for link in links if not walk.knows(link) and self._belongs(link)]
            visit.whole &= walk.add(SiteStep(link, step.depth + 1) for link in more)
        return False

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
            reason = f"The site answers with status {answer.status}."
            raise ItemUnreadable(reason, until=find_end_of_wait(answer))
        yield await asyncio.to_thread(_write_document, key, answer)

    async def _visit(self, visit: SiteVisit, url: str, name: str, *, leaf: bool) -> Sequence[str]:
        """Visit a page, which a list of that name has; return its links, and note what is hidden if it can't be read.

        A `leaf`'s links aren't needed, so it is only sent if it has changed.
        """
        await asyncio.sleep(0)  # thousands in a row may be forbidden, by thousands of rules
        if not self._may_ask(url):
            return []
        before = visit.find(url) if leaf else None
        try:
            answer = await self._ask(url, before)
        except RedirectForbidden as error:
            away = visit.leave(url, error.hops)
            visit.whole &= leaf or not away
            return []
        except ItemUnreadable as error:
            self._miss(visit, url, str(error))
            visit.whole &= leaf
            return []
        away = visit.pass_by(url, answer.hops)
        visit.whole &= leaf or not away
        if answer.status == 304 and before is not None:
            version = msgspec.structs.replace(before.version, request=url, list=name)
            if (key := visit.place(before.key, version)) is not None:
                visit.items[key] = version
            return []
        if answer.status == 200:
            return await self._keep(visit, url, name, answer, leaf=leaf)
        if answer.status in (404, 410):
            visit.lose(answer.url)
        else:
            reason, until = f"The site answers with status {answer.status}.", find_end_of_wait(answer)
            was_read = self._miss(visit, url, reason, until)
            # A page that never could be read, such as one behind a login, hides nothing that was found by it.
            refused = 400 <= answer.status < 500 and answer.status not in _TEMPORARY
            visit.whole &= leaf or (refused and not was_read)
        return []

    async def _ask(self, url: str, before: KnownPage | None) -> WebResponse:
        """Ask for a page, only if it has changed since `before`."""
        if before is not None and before.version.address:
            marks = {"if-none-match": before.version.etag, "if-modified-since": before.version.modified}
            headers = {name: value for name, value in marks.items() if value}
            answer = await self._client.get(url, self._may_ask, headers)
            if answer.status != 304 or answer.url == before.version.url:
                return answer
        return await self._client.get(url, self._may_ask)

    async def _keep(
        self, visit: SiteVisit, request: str, name: str, answer: WebResponse, *, leaf: bool
    ) -> Sequence[str]:
        visit.lose(answer.url)  # unless it is kept below, it is no document any more
        media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        ending = find_ending(media_type, answer.url)
        if ending is None:
            return []
        if ending == ".html":
            facts = await asyncio.to_thread(read_page, answer)
        else:
            facts = PageFacts(keep=not read_robot_words(answer) & {"noindex", "none"})
        canonical = facts.canonical or answer.url
        address = canonical if self._may_ask(canonical) and self._belongs(canonical) else answer.url
        digest = await asyncio.to_thread(lambda: hashlib.sha256(answer.body).hexdigest())
        if _is_home(address) and not _is_home(answer.url) and not visit.has(address, digest):
            address = answer.url  # templates that name the site's first page on every page mean nothing by it
        plain = make_key(address, ending)
        if facts.keep and self._paths.takes(plain):
            marks = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
            version = PageVersion(answer.url, *marks, digest, request, address, name)
            if (key := visit.place(plain, version)) is not None:
                visit.items[key] = version
                await asyncio.to_thread(lambda: self._file(key).write_bytes(_write_document(key, answer)))
        visit.whole &= leaf or facts.whole
        return facts.links if facts.follow and not leaf else []

    def _miss(self, visit: SiteVisit, url: str, reason: str, until: float | None = None) -> bool:
        """Note a page that can't be read now, and tell whether it was read before."""
        if visit.miss(url, reason, until):
            return True
        key = make_key(url, "")
        if self._paths.takes(key):
            visit.note_unread(key, reason, until)
        return False

    def _is_same_site(self, url: str) -> bool:
        mine, other = urlsplit(self._start), urlsplit(url)
        hosts = [(parts.hostname or "").removeprefix("www.") for parts in (mine, other)]
        ports = {mine.port, other.port}
        return hosts[0] == hosts[1] and (len(ports) == 1 or ports <= {None, 80, 443})

    def _may_ask(self, url: str) -> bool:
        return self._is_same_site(url) and self._robots.can_fetch(url, AGENT)

    def _belongs(self, url: str) -> bool:
        """Tell whether a page is the source's; what `robots.txt` says of it is asked when its turn comes."""
        return self._is_same_site(url) and urlsplit(url).path.startswith(self._scope)

    def _file(self, key: str) -> Path:
        return self._work / hashlib.sha256(key.encode()).hexdigest()


def _is_home(url: str) -> bool:
    """Tell whether a URL is that of a site's first page."""
    return _HOME.fullmatch(urlsplit(url).path) is not None


def _write_document(key: str, answer: WebResponse) -> bytes:
    return answer.body if key.endswith(".pdf") else write_utf8(answer)
