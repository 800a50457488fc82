"""Sites that answer so many requests in an hour: one sync goes on where the one before had to stop."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.sources import web_site
from gateway.sources.path_filter import PathFilter
from gateway.sources.plan import SyncedItem, compare
from gateway.sources.public_addresses import PublicAddresses, resolve_name
from gateway.sources.reader import Listing
from gateway.sources.site_walk import SiteStep, SiteWalk, read_position
from gateway.sources.tables import SourceRow
from gateway.sources.web_client import WebResponse, find_end_of_wait
from gateway.sources.web_list import MOST_URLS
from gateway.sources.web_site import open_site
from gateway.sources.web_visit import SiteVisit
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway
from tests.gateway.sources.conftest import Sources
from tests.gateway.sources.site import Page, Site

LISTS = 3
"""Requests for `robots.txt` and the lists, before any page is asked for."""


@dataclass
class Follower:
    """What a store knows of a site, by the listings so far."""

    site: Site
    work: Path
    known: dict[str, SyncedItem] = field(default_factory=dict[str, SyncedItem])
    position: str | None = None

    @property
    def keys(self) -> set[str]:
        return {key for key, item in self.known.items() if item.version is not None}

    async def sync(self, quota: float, path: str = "/", depth: int = 3, pages: int = 100) -> Listing:
        self.site.left = quota
        addresses = PublicAddresses(("127.0.0.1/32",), resolve_name)
        versions = {key: item.version for key, item in self.known.items() if item.version is not None}
        place: Mapping[str, Any] = {"position": self.position, "pause": 0.0}
        async with open_site(self.site.url + path, depth, pages, PathFilter(), addresses, self.work, **place) as reader:
            listing = await reader.scan(versions)
        plan = compare(listing, self.known, versions.keys(), now=0.0, confirmed=1000)
        self.known |= {key: SyncedItem(listing.items[key]) for key in plan.put}
        self.known = {key: item for key, item in self.known.items() if key not in plan.delete}
        self.position = listing.position
        return listing


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as started:
        yield started


@pytest.fixture
def follower(site: Site, tmp_path: Path) -> Follower:
    return Follower(site, tmp_path / "work")


def list_pages(site: Site, *paths: str) -> None:
    places = "".join(f"<url><loc>{path}</loc></url>" for path in paths)
    site.pages["/sitemap.xml"] = Page(f"<urlset>{places}</urlset>", "text/xml")


def write_pages(site: Site, *paths: str, text: str = "Page") -> None:
    for path in paths:
        site.html(path, f"{text} {path}", etag=f'"{text}{path}"')


DATE = "%a, %d %b %Y %H:%M:%S GMT"
NUMBERS = [f"/{number}" for number in range(20)]
KEYS = {f"{number}.html" for number in range(20)}


async def test_all_listed_pages_are_read_by_several_syncs(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    for number in range(3):
        listing = await follower.sync(LISTS + 7)
        assert (listing.busy_until is not None, listing.whole) == (True, False), number
    assert follower.keys == KEYS | {"index.html"}


async def test_pages_behind_the_quota_that_change_or_go_are_seen_to(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    for _ in range(3):
        await follower.sync(LISTS + 7)
    before = dict(follower.known)
    write_pages(site, "/3", "/19", text="Another page")
    del site.pages["/12"]
    list_pages(site, *(path for path in NUMBERS if path != "/12"))
    for _ in range(3):
        await follower.sync(LISTS + 7)
    assert {key for key in follower.keys if follower.known[key] != before[key]} == {"3.html", "19.html"}
    assert follower.keys == KEYS - {"12.html"} | {"index.html"}


async def test_what_is_no_document_is_not_asked_for_again_before_the_rest(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", "/18", "/19")
    for path in NUMBERS[:18]:
        site.pages[path] = Page("x", "image/png")
    for _ in range(3):
        await follower.sync(LISTS + 8)
    assert follower.keys == {"index.html", "18.html", "19.html"}


@pytest.mark.parametrize("quota", [4, 7, 11])
async def test_all_linked_pages_are_read_by_several_syncs(site: Site, follower: Follower, quota: int) -> None:
    sections = [f"/s{number}" for number in range(4)]
    site.html("/", "Start", *sections)
    for section in sections:
        inside = [f"{section}-{number}" for number in range(5)]
        site.html(section, section, "/", *sections, *inside, etag=f'"{section}"')
        for path in inside:
            site.html(path, path, "/", *sections, f"{path}-more", etag=f'"{path}"')
            site.html(f"{path}-more", "More", etag='"more"')
    everything = {"index.html", *(f"{path[1:]}.html" for path in site.pages if path != "/")}
    for _ in range(2 * (len(everything) // quota + 1) * 3):
        await follower.sync(LISTS + quota)
    assert follower.keys == everything
    site.html("/s3-4-more", "Another text", etag='"another"')
    before = dict(follower.known)
    for _ in range(2 * (len(everything) // quota + 1) * 3):
        await follower.sync(LISTS + quota)
    assert {key for key in follower.keys if follower.known[key] != before[key]} == {"s3-4-more.html"}


async def test_a_page_that_was_refused_is_the_first_of_the_next_sync(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    await follower.sync(LISTS + 3)
    assert site.asked[-1] == "/2"
    site.asked.clear()
    await follower.sync(LISTS + 1)
    assert site.asked[LISTS:] == ["/2", "/3"]


@pytest.mark.parametrize("listed", [True, False])
async def test_a_page_that_is_refused_for_ever_hides_no_others(site: Site, follower: Follower, listed: bool) -> None:
    write_pages(site, "/", *NUMBERS)
    if listed:
        list_pages(site, *NUMBERS)
    else:
        site.html("/", "Start", *NUMBERS)
    site.pages["/2"] = Page(status=429, headers={"retry-after": "3600"})
    for _ in range(3):
        await follower.sync(1000)
    assert follower.keys == KEYS - {"2.html"} | {"index.html"}
    write_pages(site, "/1", "/19", text="Another page")
    before = dict(follower.known)
    for _ in range(4):
        await follower.sync(1000)
    assert {key for key in follower.keys if follower.known[key] != before[key]} == {"1.html", "19.html"}


async def test_a_site_that_is_not_busy_any_more_is_listed_whole(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    await follower.sync(LISTS + 3)
    listing = await follower.sync(1000)
    assert (listing.whole, listing.position, set(listing.items)) == (True, None, KEYS | {"index.html"})
    list_pages(site, *NUMBERS[:5])
    await follower.sync(1000)
    assert follower.keys == {"index.html", *(f"{number}.html" for number in range(5))}


async def test_a_place_that_is_not_listed_any_more_is_where_the_next_one_is(site: Site, follower: Follower) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    await follower.sync(LISTS + 3)
    list_pages(site, *(path for path in NUMBERS if path not in ("/2", "/3")))
    site.asked.clear()
    await follower.sync(LISTS + 1)
    assert site.asked[LISTS:] == ["/4", "/5"]


@pytest.mark.parametrize("quota", [3, 4, 8, 9])
@pytest.mark.parametrize("marked", [True, False])
async def test_as_many_pages_are_taken_as_are_allowed_and_no_more(
    site: Site, follower: Follower, quota: int, marked: bool
) -> None:
    """Also where the server has no marks by which it could say that a page is the same."""
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    for page in site.pages.values() if not marked else ():
        page.headers.clear()
    for _ in range(12):
        await follower.sync(LISTS + quota, pages=10)
    assert len(follower.keys) == 10


async def test_a_listing_that_takes_an_hour_goes_on_as_well(
    site: Site, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_pages(site, *NUMBERS)
    write_pages(site, "/", *NUMBERS)
    clock = SimpleNamespace(monotonic=lambda: 4000.0 * sum(site.asked.count(path) for path in ("/6", "/13")))
    monkeypatch.setattr(web_site, "time", clock)
    for _ in range(3):
        await follower.sync(1000)
    assert follower.keys == KEYS | {"index.html"}
    assert [path for path in site.asked if path in NUMBERS][:20] == NUMBERS


def test_a_list_that_is_too_long_for_a_walk_is_not_read_whole() -> None:
    for count in (MOST_URLS, MOST_URLS + 1):
        visit = SiteVisit.open({})
        SiteWalk.begin(visit, "http://x.org/", 3, {f"http://x.org/{number}": "list" for number in range(count)}, [])
        assert visit.whole == (count == MOST_URLS)


@pytest.mark.parametrize("text", [None, "", "x", "[1]", '{"a": 1}'])
def test_a_position_of_another_version_is_none(text: str | None) -> None:
    assert read_position(text) == []
    assert read_position('[["http://x.org/"]]') == [SiteStep("http://x.org/")]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, engine: FakeVllm) -> Settings:
    worker.prepare_home(tmp_path, engine.model)
    return Settings(
        home=tmp_path, database_url=database_url, engine_urls=(engine.url,), source_networks=("127.0.0.0/8",)
    )


async def read_source(gateway: Gateway, id: str) -> SourceRow:
    async with gateway.state.database.read() as session:
        row = await session.get(SourceRow, id)
    assert row is not None
    return row


async def test_a_store_gets_all_pages_of_a_site_with_a_quota(gateway: Gateway, kestrel: Sources, site: Site) -> None:
    paths = NUMBERS[:8]
    list_pages(site, *paths)
    write_pages(site, "/", *paths)
    site.left = LISTS + 4
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "web", "url": site.url}, prefix="")
    await kestrel.settle()
    site.left = LISTS + 5
    await kestrel.sync(source)
    assert set(await kestrel.documents(store)) == {"index.html", *(f"{path[1:]}.html" for path in paths)}
    site.left = 1000
    await kestrel.sync(source)
    assert (await read_source(gateway, source)).position is None


async def test_what_was_read_is_put_where_a_document_behind_the_quota_is_missing(kestrel: Sources, site: Site) -> None:
    list_pages(site, "/a", "/b")
    write_pages(site, "/", "/a", "/b")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "web", "url": site.url}, prefix="")
    await kestrel.settle()
    await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/a.html")
    write_pages(site, "/b", text="Another")
    before = (await kestrel.items(source))["b.html"]["version"]
    list_pages(site, "/a", "/b", "/c")
    site.left = LISTS + 3
    await kestrel.sync(source)
    assert (await kestrel.items(source))["b.html"]["version"] != before


def write_date(seconds: int) -> str:
    return time.strftime(DATE, time.gmtime(time.time() + seconds))


@pytest.mark.parametrize(
    ("path", "status", "write"),
    [
        ("/robots.txt", 429, write_date),
        ("/robots.txt", 503, str),
        ("/sitemap.xml", 503, write_date),
        ("/sitemap.xml", 429, str),
        ("/llms.txt", 503, str),
        ("/llms.txt", 429, write_date),
        ("/", 503, str),
        ("/", 429, write_date),
    ],
)
async def test_a_site_whose_first_answer_says_when_to_ask_again_is_asked_then(
    gateway: Gateway, kestrel: Sources, site: Site, path: str, status: int, write: Callable[[int], str]
) -> None:
    site.pages[path] = Page(status=status, headers={"retry-after": write(7200)})
    store = await kestrel.store()
    began = int(time.time())
    source = await kestrel.source(store, {"kind": "web", "url": site.url}, interval_seconds=86_400)
    await kestrel.settle()
    row = await read_source(gateway, source)
    assert began + 7199 <= (row.next_at or 0.0) <= time.time() + 7201
    if path != "/":
        assert (row.status, row.error_code) == ("failed", "source_busy")


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_moment_without_a_zone_is_utc_wherever_the_machine_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        headers = {"retry-after": f"Sun, 06 Nov 2044 08:49:37 {zone}", "date": "Sun, 06 Nov 2044 08:49:07 GMT"}
        until = find_end_of_wait(WebResponse("https://example.com/", 503, headers, b""))
    time.tzset()
    assert until == pytest.approx(time.time() + 30, abs=20)
