"""What sites get wrong: marks before a text, types that nobody set, rules in headers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses, resolve_name
from gateway.sources.reader import Listing
from gateway.sources.web_client import AGENT, WebResponse
from gateway.sources.web_list import read_robots, read_sitemap
from gateway.sources.web_site import open_site
from tests.gateway.sources.site import Page, Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as started:
        yield started


async def visit(site: Site, work: Path) -> Listing:
    addresses = PublicAddresses(("127.0.0.1/32",), resolve_name)
    async with open_site(f"{site.url}/", 3, 100, PathFilter(), addresses, work / "work", pause=0.0) as reader:
        return await reader.scan({})


def answer(body: bytes) -> WebResponse:
    return WebResponse("http://x.org/", 200, {"content-type": "text/plain"}, body)


RULES = "User-agent: *\nDisallow: /x\n"


@pytest.mark.parametrize(
    "body", [RULES.encode("utf-8-sig"), RULES.encode("utf-16"), RULES.replace("\n", "\r").encode()]
)
def test_rules_hold_whatever_marks_their_character_set(body: bytes) -> None:
    assert not read_robots(answer(body)).can_fetch("http://x.org/x", AGENT)


MAP = "<?xml version='1.0'?><urlset><url><loc>/a</loc></url></urlset>"


@pytest.mark.parametrize("before", ["\n", "\ufeff", "\ufeff\r\n ", ""])
def test_a_sitemap_may_have_blank_lines_before_it(before: str) -> None:
    assert read_sitemap(answer(f"{before}{MAP}".encode())).pages == ["http://x.org/a"]


def test_a_sitemap_may_be_a_text() -> None:
    for body in (b"http://x.org/a\nhttps://x.org/b\n", b"\xef\xbb\xbfhttp://x.org/a\r\nhttps://x.org/b"):
        assert read_sitemap(answer(body)).pages == ["http://x.org/a", "https://x.org/b"]


async def test_headers_for_robots_count_for_every_document_and_each_of_them(site: Site, tmp_path: Path) -> None:
    site.html("/", "Start", *"abcde")
    for path, value in {"a": "noindex", "b": f"{AGENT}: noindex", "c": "otherbot: noindex", "d": "nosnippet"}.items():
        site.pages[f"/{path}"] = Page("# Text", "text/markdown", headers={"x-robots-tag": value})
    site.pages["/e"] = Page("# Text", "text/markdown", headers={"X-Robots-Tag": "noindex", "x-robots-tag": "nosnippet"})
    assert set((await visit(site, tmp_path)).items) == {"index.html", "c.md", "d.md"}


async def test_the_address_tells_the_type_where_the_server_does_not_know_it(site: Site, tmp_path: Path) -> None:
    site.html("/", "Start", "/a.md", "/b.pdf", "/c.HTML", "/d.zip", "/e", "/f.md", "/g")
    for path in ("/a.md", "/b.pdf", "/d.zip", "/e"):
        site.pages[path] = Page("# Text", "binary/octet-stream")
    site.pages["/c.HTML"] = Page("<p>Text", "")
    site.pages["/f.md"] = Page("# Text", "image/png")
    site.pages["/g"] = Page("# Text", "text/x-markdown")
    assert set((await visit(site, tmp_path)).items) == {"index.html", "a.md", "b.pdf", "c.HTML", "g.md"}


async def test_pages_that_all_call_the_first_one_their_address_are_pages(site: Site, tmp_path: Path) -> None:
    head = '<link rel="canonical" href="/">'
    site.html("/", "Start", "/?utm=1", "/a", "/b", "/same", head=head)
    site.html("/?utm=1", "Start, for who was sent here", head=head)
    for path in ("/a", "/b"):
        site.html(path, path, head=head)
    site.pages["/same"] = site.pages["/"]
    assert set((await visit(site, tmp_path)).items) == {"index.html", "a.html", "b.html"}
