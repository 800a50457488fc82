import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.sources import web_client
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses, Resolve, resolve_name
from gateway.sources.reader import Listing, SourceUnreadable
from gateway.sources.tables import SourceRow
from gateway.sources.web_client import expand_gzip, normalize, open_web_client
from gateway.sources.web_site import check_site, open_site
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.conftest import Gateway
from tests.gateway.sources.conftest import Sources
from tests.gateway.sources.site import Page, Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as started:
        yield started


class Visitor:
    def __init__(self, site: Site, work: Path) -> None:
        self.site = site
        self.work = work
        self.allowed: Sequence[str] = ("127.0.0.1/32",)
        self.resolve: Resolve = resolve_name

    def open(self, path: str = "/", **more: Any) -> Any:
        url = path if "://" in path else self.site.url + path
        depth, pages = more.pop("depth", 3), more.pop("pages", 100)
        paths = more.pop("paths", PathFilter())
        addresses = PublicAddresses(self.allowed, self.resolve)
        return open_site(url, depth, pages, paths, addresses, self.work, pause=0.0, **more)

    async def visit(self, path: str = "/", known: Mapping[str, str] | None = None, **more: Any) -> Listing:
        async with self.open(path, **more) as reader:
            return await reader.scan(known or {})


@pytest.fixture
def visitor(site: Site, tmp_path: Path) -> Visitor:
    return Visitor(site, tmp_path / "work")


async def test_links_are_followed_as_deep_as_asked_and_no_further(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/a", "/b/", "#top", "mailto:x@y.z", "javascript:x()", "http://elsewhere.invalid/")
    site.html("/a", "A", "/c")
    site.html("/b/", "B", "../a")
    site.html("/c", "C", "/d")
    site.html("/d", "D")
    listing = await visitor.visit(depth=2)
    assert set(listing.items) == {"index.html", "a.html", "b/index.html", "c.html"}
    assert listing.whole
    assert len(site.asked) == len(set(site.asked))


async def test_a_page_is_read_in_the_character_set_of_its_header_also_when_it_is_asked_for_again(
    site: Site, visitor: Visitor
) -> None:
    site.pages["/"] = Page("<p>Цена 49".encode("cp1251"), "text/html; charset=windows-1251", headers={"ETag": '"1"'})
    known = (await visitor.visit()).items
    async with visitor.open() as reader:
        for versions in ({}, known):
            assert (await reader.scan(versions)).items == known
            async with aclosing(reader.read("index.html")) as parts:
                assert b"".join([part async for part in parts]).decode() == "<p>Цена 49"


async def test_pages_beside_and_below_the_start_belong_and_others_do_not(site: Site, visitor: Visitor) -> None:
    site.html("/docs/", "Start", "a", "/blog", "sub/b")
    site.html("/docs/a", "A")
    site.html("/docs/sub/b", "B")
    site.html("/blog", "Blog")
    assert set((await visitor.visit("/docs/")).items) == {"docs/index.html", "docs/a.html", "docs/sub/b.html"}
    assert "/blog" not in site.asked


async def test_the_bytes_of_a_page_are_those_that_were_listed(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start")
    async with visitor.open() as reader:
        await reader.scan({})
        async with aclosing(reader.read("index.html")) as parts:
            assert b"<p>Start</p>" in b"".join([part async for part in parts])
    assert site.asked.count("/") == 1
    assert not visitor.work.exists()


async def test_robots_are_obeyed(site: Site, visitor: Visitor) -> None:
    rules = "User-agent: braid\nDisallow: /private\nDisallow: /*.secret$\n\nUser-agent: *\nDisallow: /\n"
    site.pages["/robots.txt"] = Page(rules, "text/plain")
    site.html("/", "Start", "/private/x", "/a.secret", "/open", "/moved")
    site.html("/open", "Open")
    site.pages["/moved"] = Page(status=302, headers={"location": "/private/x"})
    assert set((await visitor.visit()).items) == {"index.html", "open.html"}
    assert not {"/private/x", "/a.secret"} & set(site.asked)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_robots_that_cannot_be_read_allow_nothing(site: Site, visitor: Visitor, status: int) -> None:
    site.html("/", "Start")
    site.pages["/robots.txt"] = Page("", status=status)
    with pytest.raises(SourceUnreadable):
        await visitor.visit()
    assert site.asked == ["/robots.txt"]


async def test_pages_may_say_that_they_are_not_to_be_kept_or_followed(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/hidden", "/dead", "/header")
    site.html("/hidden", "Hidden", "/behind", head='<meta name="robots" content="noindex">')
    site.html("/behind", "Behind")
    site.html("/dead", "Dead", "/unseen", head='<meta name="ROBOTS" content="nofollow">')
    site.html("/header", "Header", x_robots_tag="noindex")
    assert set((await visitor.visit()).items) == {"index.html", "behind.html", "dead.html"}


async def test_a_page_is_kept_once_under_its_canonical_address(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/a?utm=1", "/a?utm=2", "/a")
    for path in ("/a?utm=1", "/a?utm=2", "/a"):
        site.html(path, "A", head='<link rel="canonical" href="/a">')
    assert set((await visitor.visit()).items) == {"index.html", "a.html"}


async def test_a_sitemap_is_the_list_of_pages(site: Site, visitor: Visitor) -> None:
    site.pages["/robots.txt"] = Page("Sitemap: /maps.xml\n", "text/plain")
    index = "<sitemapindex xmlns='x'><sitemap><loc>/one.xml</loc></sitemap></sitemapindex>"
    site.pages["/maps.xml"] = Page(index, "application/xml")
    urls = (
        "<urlset><url><loc>/a</loc></url><url><loc> /b </loc></url><url><loc>http://other.invalid/</loc></url></urlset>"
    )
    site.pages["/one.xml"] = Page(urls, "application/xml")
    site.html("/", "Start", "/unlisted")
    site.html("/a", "A", "/unlisted")
    site.html("/b", "B")
    site.html("/unlisted", "Unlisted")
    assert set((await visitor.visit()).items) == {"index.html", "a.html", "b.html"}
    assert set((await visitor.visit("/one.xml")).items) == {"a.html", "b.html"}


@pytest.mark.parametrize("page", [Page("<urlset", "text/xml"), Page("", status=404), Page("", status=500)])
async def test_a_part_of_a_list_that_is_missing_is_no_deletion(site: Site, visitor: Visitor, page: Page) -> None:
    site.pages["/sitemap.xml"] = Page("<sitemapindex><sitemap><loc>/one.xml</loc></sitemap></sitemapindex>", "text/xml")
    site.pages["/one.xml"] = page
    site.html("/", "Start")
    with pytest.raises(SourceUnreadable):
        await visitor.visit()


async def test_a_part_of_a_list_that_is_missing_stops_no_other(site: Site, visitor: Visitor) -> None:
    names = "".join(f"<sitemap><loc>/{name}.xml</loc></sitemap>" for name in ("one", "two"))
    site.pages["/sitemap.xml"] = Page(f"<sitemapindex>{names}</sitemapindex>", "text/xml")
    for name in ("one", "two"):
        site.pages[f"/{name}.xml"] = Page(f"<urlset><url><loc>/{name}</loc></url></urlset>", "text/xml")
        site.html(f"/{name}", name)
    site.html("/", "Start")
    first = await visitor.visit()
    site.pages["/one.xml"] = Page(status=503)
    second = await visitor.visit(known=first.items)
    assert (set(second.items), second.whole) == ({"index.html", "one.html", "two.html"}, False)


async def test_a_packed_sitemap_is_read_and_of_many_the_first_ones(site: Site, visitor: Visitor) -> None:
    names = "".join(f"<sitemap><loc>/map{number}.xml.gz</loc></sitemap>" for number in range(51))
    site.pages["/sitemap.xml"] = Page(f"<sitemapindex>{names}</sitemapindex>", "text/xml")
    for number in range(51):
        urls = f"<urlset><url><loc>/{number}</loc></url></urlset>".encode()
        site.pages[f"/map{number}.xml.gz"] = Page(gzip.compress(urls), "application/gzip")
        site.html(f"/{number}", "Page")
    site.html("/", "Start", "/unlisted")
    listing = await visitor.visit()
    assert (set(listing.items), listing.whole) == ({"index.html", *(f"{number}.html" for number in range(49))}, False)
    assert set((await visitor.visit("/map7.xml.gz")).items) == {"7.html"}


async def test_pages_whose_keys_would_be_the_same_are_both_kept(site: Site, visitor: Visitor) -> None:
    paths = ("/?x=1/2", "/?x=1_2", "/a", "/a.html", "/same", "/same.html")
    site.html("/", "Start", *paths)
    for path in paths:
        site.html(path, "Same" if "same" in path else path, etag=f'"{path}"')
    first = await visitor.visit(depth=1)
    plain = {"index.html", "index@x=1_2.html", "a.html", "same.html"}
    assert plain <= first.items.keys()
    assert sorted(key.rpartition("-")[0] for key in first.items.keys() - plain) == ["a", "index@x=1_2"]
    second = await visitor.visit(known=first.items, depth=1)
    assert second.items == first.items


async def test_a_login_that_was_never_read_hides_nothing(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/login", "/a", "/b")
    site.pages["/login"] = Page(status=403)
    for path in ("/a", "/b"):
        site.html(path, path)
    first = await visitor.visit()
    site.html("/", "Start", "/login", "/a")
    second = await visitor.visit(known=first.items)
    assert (set(second.items), set(second.unread), second.whole) == ({"index.html", "a.html"}, {"login"}, True)


async def test_a_page_that_is_gone_is_gone_also_where_there_are_more_than_are_looked_at(
    site: Site, visitor: Visitor
) -> None:
    site.html("/", "Start", *(f"/{number}" for number in range(9)))
    for number in range(9):
        site.html(f"/{number}", f"Page {number}")
    first = await visitor.visit(pages=5)
    del site.pages["/1"]
    second = await visitor.visit(known=first.items, pages=5)
    assert (set(second.absent_keys), second.whole) == ({"1.html"}, False)


async def test_a_list_that_became_a_page_is_a_fault(site: Site, visitor: Visitor) -> None:
    site.html("/llms.txt", "Back soon.", "/other")
    with pytest.raises(SourceUnreadable):
        await visitor.visit("/llms.txt")


async def test_versions_of_earlier_releases_are_read(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/a", etag='"1"')
    site.html("/a", "A", etag='"1"')
    versions = {
        key: json.dumps({"url": f"{site.url}/{path}", "etag": '"1"', "modified": "", "digest": "0" * 64})
        for key, path in (("index.html", ""), ("a.html", "a"), ("b.html", "b"))
    }
    listing = await visitor.visit(known=versions)
    assert (set(listing.items), set(listing.absent_keys), listing.whole) == (
        {"index.html", "a.html"},
        {"b.html"},
        False,
    )
    assert (await visitor.visit(known=listing.items)).whole


async def test_a_sitemap_with_entities_is_not_read(site: Site, visitor: Visitor) -> None:
    site.pages["/map.xml"] = Page(
        "<!DOCTYPE x [<!ENTITY a 'b'>]><urlset><url><loc>&a;</loc></url></urlset>", "text/xml"
    )
    with pytest.raises(SourceUnreadable):
        await visitor.visit("/map.xml")


async def test_llms_txt_is_a_list_and_llms_full_is_a_document(site: Site, visitor: Visitor) -> None:
    text = "# Docs\n\n- [A](/docs/a.md): about\n- [B](b.html)\n- [C](https://other.invalid/c)\n"
    site.pages["/llms.txt"] = Page(text, "text/plain")
    site.pages["/docs/a.md"] = Page("# A", "text/markdown")
    site.html("/b.html", "B")
    site.pages["/llms-full.txt"] = Page("# All\n\nText.", "text/plain")
    site.html("/", "Start", "/unlisted")
    assert set((await visitor.visit("/llms.txt")).items) == {"docs/a.md", "b.html"}
    assert set((await visitor.visit("/llms-full.txt")).items) == {"llms-full.txt"}
    assert set((await visitor.visit("/")).items) == {"index.html", "docs/a.md", "b.html"}


async def test_what_is_unchanged_is_not_sent_again(site: Site, visitor: Visitor) -> None:
    site.pages["/sitemap.xml"] = Page("<urlset><url><loc>/a</loc></url><url><loc>/b</loc></url></urlset>", "text/xml")
    site.html("/", "Start", etag='"s"')
    site.html("/a", "A", etag='"1"')
    site.html("/b", "B", etag='"1"')
    first = await visitor.visit()
    site.html("/b", "B, again", etag='"2"')
    site.sent.clear()
    second = await visitor.visit(known=first.items)
    assert {path for path in site.sent if path != "/sitemap.xml"} == {"/b"}
    assert {key for key in first.items if first.items[key] != second.items[key]} == {"b.html"}
    async with visitor.open() as reader:  # its document may be gone all the same
        await reader.scan(second.items)
        async with aclosing(reader.read("a.html")) as parts:
            assert b"A" in b"".join([part async for part in parts])


async def test_a_page_that_fails_is_no_deletion_and_one_that_is_gone_is(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", "/a", "/b", "/c")
    for path in ("/a", "/c"):
        site.html(path, "Page")
    site.html("/b", "B", "/behind")
    site.html("/behind", "Behind")
    first = await visitor.visit()
    del site.pages["/a"]
    site.pages["/b"] = Page(status=500)
    second = await visitor.visit(known=first.items)
    assert set(second.items) == {"index.html", "c.html", "behind.html"}
    assert set(second.unread) == {"b.html"}
    assert (set(second.absent_keys), second.whole) == ({"a.html"}, False), (
        "what only it links to is asked for by itself"
    )


async def test_more_pages_than_allowed_are_no_deletions(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", *(f"/{number}" for number in range(20)))
    for number in range(20):
        site.html(f"/{number}", "Page")
    listing = await visitor.visit(pages=5)
    assert (len(listing.items), listing.whole) == (5, False)


async def test_a_site_without_a_page_is_a_fault(site: Site, visitor: Visitor) -> None:
    with pytest.raises(SourceUnreadable):
        await visitor.visit()


async def test_a_page_that_is_too_large_or_compressed_is_given_up(site: Site, visitor: Visitor) -> None:
    bodies = {
        "broken": (b"\x1f\x8b", "gzip"),
        "cut": (gzip.compress(b"x" * 99)[:-9], "gzip"),
        "bomb": (gzip.compress(b"x" * (17 << 20)), "gzip"),
        "bombs": (gzip.compress(b"x" * (9 << 20)) * 2, "gzip"),
        "other": (b"x", "br"),
    }
    site.html("/", "Start", "/large", "/picture", *bodies)
    site.pages["/large"] = Page(b"x" * (17 << 20), "text/plain")
    site.pages["/picture"] = Page(b"x", "image/png")
    for name, (body, coding) in bodies.items():
        site.pages[f"/{name}"] = Page(body, "text/plain", headers={"content-encoding": coding})
    listing = await visitor.visit()
    assert set(listing.items) == {"index.html"}
    assert set(listing.unread) == {"large", *bodies}


async def test_pages_that_a_site_has_only_packed_are_read(site: Site, visitor: Visitor) -> None:
    packed = {"content-encoding": "x-gzip"}
    urls = f"<urlset><url><loc>{site.url}/a</loc></url></urlset>".encode()
    site.pages["/sitemap.xml"] = Page(gzip.compress(gzip.compress(urls)), "application/xml", headers=packed)
    page = gzip.compress("<p>Fünf ".encode()) + gzip.compress(b"years.")
    site.pages["/a"] = Page(page, headers=packed)
    async with visitor.open("/sitemap.xml") as reader:
        assert set((await reader.scan({})).items) == {"a.html"}
        async with aclosing(reader.read("a.html")) as parts:
            assert [part async for part in parts] == ["<p>Fünf years.".encode()]


@pytest.mark.parametrize("when", ["0", "Sat, 01 Jan 2000 00:00:00 GMT"])
async def test_a_busy_site_is_asked_again_when_it_says_so(site: Site, visitor: Visitor, when: str) -> None:
    site.html("/", "Start", "/a", "/later", "/never")
    for path, status, again in (("/a", 429, when), ("/later", 503, "3600"), ("/never", 429, "soon")):
        site.pages[path] = Page(status=status, headers={"retry-after": again})

    def grow_idle(path: str) -> None:
        if site.asked.count(path) == 2:
            site.html(path, "Five years.")

    site.on_ask = grow_idle
    listing = await visitor.visit()
    assert set(listing.items) == {"index.html", "a.html"}
    assert set(listing.unread) == {"later", "never"}


@pytest.mark.parametrize(("status", "after", "asked"), [(429, "120", 1), (503, "120", 3), (429, "", 3)])
async def test_a_site_that_stays_busy_is_left_alone_and_loses_nothing(
    site: Site, visitor: Visitor, status: int, after: str, asked: int
) -> None:
    paths = [f"/{number}" for number in range(9)]
    site.html("/", "Start", *paths)
    for path in paths:
        site.html(path, path)
    first = await visitor.visit()
    for path in paths:
        site.pages[path] = Page(status=status, headers={"retry-after": after} if after else {})
    site.asked.clear()
    busy = await visitor.visit(known=first.items)
    assert len({*site.asked} & {*paths}) == asked
    assert (set(busy.items), len(busy.unread), busy.whole, busy.absent_keys) == ({"index.html"}, asked, False, set())
    assert (busy.busy_until is not None) == bool(after)
    for path in paths:
        site.html(path, path)
    assert (await visitor.visit(known=first.items)).items == first.items


async def test_pages_that_are_broken_for_ever_hide_no_others(site: Site, visitor: Visitor) -> None:
    site.html("/", "Start", *"abcdefghij")
    for path in "abcdefghij":
        site.html(f"/{path}", path)
    for path in "bcd":
        site.pages[f"/{path}"] = Page(status=503)
    assert set((await visitor.visit()).items) == {"index.html", *(f"{path}.html" for path in "aefghij")}


def test_packed_bytes_cost_their_length_however_many_members_they_have() -> None:
    began = time.process_time()
    assert expand_gzip((gzip.compress(b"") + b"\0") * 200_000, 1) == b""
    assert time.process_time() - began < 20


async def test_a_busy_site_is_asked_no_sooner_than_its_pause(
    site: Site, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    site.html("/", "Start")
    async with open_web_client(PublicAddresses(visitor.allowed, visitor.resolve), 5.0) as client:
        site.pages["/busy"] = Page(status=429, headers={"retry-after": "0"})
        monkeypatch.setattr(web_client.asyncio, "sleep", sleep)
        assert (await client.get(f"{site.url}/busy", lambda _: True)).status == 429
    assert max(waits) > 4


async def test_a_page_that_only_leads_on_is_followed_and_is_none(site: Site, visitor: Visitor) -> None:
    site.html("/", "Redirecting…", head='<meta http-equiv="Refresh" content="0; URL=\'stable/\'">')
    site.html("/stable/", "Start", "/noscript", "/slow", "/self", "/frames", "/map")
    without_scripts = '<noscript><meta http-equiv="refresh" content="0;url=/plain"></noscript>'
    site.html("/noscript", "Text", head=without_scripts)
    site.html("/slow", "News", head='<meta http-equiv="refresh" content="600; url=/more">')
    site.html("/self", "Status", head='<meta http-equiv="refresh" content="2; url=/self">')
    site.pages["/frames"] = Page('<frameset><frame src="/menu"><noframes><a href="/none">x</a></noframes></frameset>')
    site.pages["/map"] = Page('<map><area href="/room"></map>')
    for name in ("plain", "more", "menu", "room", "none"):
        site.html(f"/{name}", name)
    listing = await visitor.visit()
    names = {"noscript", "slow", "self", "frames", "map", "plain", "more", "menu", "room"}
    assert set(listing.items) == {"stable/index.html", *(f"{name}.html" for name in names)}


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.2:1/",
        "http://2130706433/",
        "http://[::1]/",
        "file:///etc/passwd",
        "//elsewhere.invalid/",
        "http://user@127.0.0.1/",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(site: Site, visitor: Visitor, location: str) -> None:
    site.html("/", "Start", "/moved")
    site.pages["/moved"] = Page(status=302, headers={"location": location})
    assert set((await visitor.visit()).items) == {"index.html"}


async def test_a_name_that_resolves_to_another_address_by_and_by_is_refused(site: Site, visitor: Visitor) -> None:
    """A name server gives a good address to the check, and a private one to the connection."""
    answers = iter([["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]])

    async def resolve(_host: str, _port: int) -> list[str]:
        return next(answers, ["10.0.0.1"])

    visitor.resolve = resolve
    site.html("/", "Start", "/a", "/b", "/c")
    for path in ("/a", "/b", "/c"):
        site.html(path, "Page")
    with pytest.raises(SourceUnreadable, match="no public address"):
        await visitor.visit(f"http://rebound.invalid:{site.port}/")
    assert len(site.hosts) == 4
    assert set(site.hosts) == {f"rebound.invalid:{site.port}"}


async def test_loopback_is_not_asked_unless_it_is_allowed(site: Site, visitor: Visitor) -> None:
    visitor.allowed = ()
    site.html("/", "Start")
    with pytest.raises(SourceUnreadable):
        await visitor.visit()
    assert site.asked == []


@pytest.mark.parametrize(
    "url", ["ftp://x.org/", "http://", "https://a:b@x.org/", "x.org", "http://x.org\n/", "http://x:y/"]
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(SourceUnreadable):
        check_site(url)


def test_urls_are_written_in_one_way() -> None:
    assert normalize("HTTP://Example.ORG:80/a b#c") == "http://example.org/a%20b"
    assert normalize("../x?y=1", "https://bücher.example/a/b/") == "https://xn--bcher-kva.example/a/x?y=1"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, engine: FakeVllm) -> Settings:
    worker.prepare_home(tmp_path, engine.model)
    return Settings(
        home=tmp_path, database_url=database_url, engine_urls=(engine.url,), source_networks=("127.0.0.0/8",)
    )


async def test_a_store_follows_a_site(kestrel: Sources, site: Site) -> None:
    site.html("/", "Start", "/a")
    site.html("/a", "A")
    store = await kestrel.store()
    source = await kestrel.source(store, {"kind": "web", "url": site.url}, prefix="")
    await kestrel.settle()
    assert set(await kestrel.documents(store)) == {"index.html", "a.html"}
    assert (await kestrel.get(store, "a.html"))["attributes"] == {"url": f"{site.url}/a"}
    site.html("/", "Start", "/b")
    site.html("/b", "B")
    assert (await kestrel.sync(source))["status"] == "synced"
    assert set(await kestrel.documents(store)) == {"index.html", "b.html"}


async def test_a_busy_site_is_synchronised_when_it_says_so_and_what_was_not_asked_for_is_no_failure(
    gateway: Gateway, kestrel: Sources, site: Site
) -> None:
    site.html("/", "Start", "/a", "/b", "/c")
    for path in ("/a", "/b", "/c"):
        site.html(path, path, etag=f'"{path}"')
    store = await kestrel.store()
    origin = {"kind": "web", "url": site.url, "depth": 1}
    source = await kestrel.source(store, origin, prefix="", interval_seconds=86_400)
    await kestrel.settle()
    busy = Page(status=429, headers={"retry-after": "3600"})
    for path in ("/b", "/c"):
        await kestrel.ok("DELETE", f"/api/vector_stores/{store}/documents/{path[1:]}.html")

    def grow_busy(path: str) -> None:
        if path == "/b" and site.asked.count(path) == 3:  # when it is read, since it was deleted
            site.pages[path] = busy

    site.on_ask = grow_busy
    for _ in ("while pages are read", "while they are listed"):
        began = time.time()
        await kestrel.sync(source)
        assert {key for key, item in (await kestrel.items(source)).items() if item["error"]} == {"b.html"}
        async with gateway.state.database.read() as session:
            row = await session.get(SourceRow, source)
        assert row is not None
        assert began + 3600 <= (row.next_at or 0.0) <= time.time() + 3600
