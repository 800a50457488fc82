"""What strangers wrote costs what its length is, and is read beside the event loop."""

import asyncio
import gzip
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.sources import site_index, web_site
from gateway.sources.path_filter import PathFilter
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.web_client import AGENT, WebResponse
from gateway.sources.web_list import MOST_URLS, SitemapUnreadable, read_llms_txt, read_robots, read_sitemap
from gateway.sources.web_page import read_page
from gateway.sources.web_site import open_site
from tests.gateway.sources.site import Page, Site

LENGTH = 60_000
SECONDS = 3.0
"""Of a thread that others slow down; alone the slowest takes a sixtieth, and the square of a length takes minutes."""

PAGES = (
    *("<a ", "<", "<a", "<a/", "<a=", "<!--", "<!-", "<script>", "<script></script", "<title", "<a href='"),
    *(
        '<a href="x',
        "<a b=' c=\"",
        "<a href=&amp;>",
        "</a ",
        "&",
        "<a href=http://",
        "<a href=../",
        "<base href=//",
        "<a  \n",
    ),
)
LISTS = ("[", "](", "](a", "[a](", "[a](b) ", "]( ", "](http://x.org/a", "[a](\n", "[[]](")
MAPS = ("<a>", "<a/>", "<!--", "<loc>", "<url><loc>x</loc></url>", "&lt;", "<![CDATA[", " ")
RULES = ("User-agent: a\n", "user agent ", "Disallow: /*a*b$\n", "User-agent: *\nDisallow: $\n", "#", " ", "a:")


def answer(body: str | bytes, media: str = "text/html") -> WebResponse:
    return WebResponse(
        "http://x.org/", 200, {"content-type": media}, body if isinstance(body, bytes) else body.encode()
    )


def repeat(piece: str) -> str:
    return piece * (LENGTH // len(piece))


def measure(read: Callable[[WebResponse], Any], given: WebResponse) -> None:
    begin = time.thread_time()
    try:
        read(given)
    except SitemapUnreadable:
        pass
    assert time.thread_time() - begin < SECONDS


@pytest.mark.parametrize("piece", PAGES)
def test_a_page_costs_its_length(piece: str) -> None:
    measure(read_page, answer(repeat(piece)))


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "zip", "x" * LENGTH])
def test_a_page_that_names_a_codec_of_no_texts_costs_its_length(charset: str) -> None:
    measure(read_page, answer(repeat("a-b"), f"text/html; charset={charset}"))


@pytest.mark.parametrize("piece", LISTS)
def test_a_list_of_links_costs_its_length(piece: str) -> None:
    measure(read_llms_txt, answer(repeat(piece)))


@pytest.mark.parametrize("piece", MAPS)
def test_a_sitemap_costs_its_length(piece: str) -> None:
    measure(read_sitemap, answer(f"<urlset>{repeat(piece)}</urlset>"))


def test_a_long_namespace_is_not_copied_for_each_element() -> None:
    measure(read_sitemap, answer(f"<urlset xmlns='{repeat('x')}' xmlns:y='{repeat('y')}'>{repeat('<y:a/>')}</urlset>"))


def test_a_sitemap_that_unpacks_to_much_is_given_up() -> None:
    begin = time.thread_time()
    with pytest.raises(SitemapUnreadable):
        read_sitemap(answer(gzip.compress(bytes(40 << 20), compresslevel=1)))
    assert time.thread_time() - begin < SECONDS


@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_a_sitemap_with_a_document_type_is_not_read_in_any_coding(coding: str) -> None:
    text = "<!DOCTYPE x [<!ENTITY a 'b'>]><urlset><url><loc>/&a;</loc></url></urlset>"
    with pytest.raises(SitemapUnreadable):
        read_sitemap(answer(text.encode(coding)))


@pytest.mark.parametrize("piece", RULES)
def test_rules_cost_their_length(piece: str) -> None:
    measure(lambda given: read_robots(given).can_fetch(f"http://x.org/{'a' * 2000}", AGENT), answer(repeat(piece)))


def test_rules_for_many_others_cost_their_length() -> None:
    agents = "".join(f"User-agent: bot{number}\n" for number in range(3000))
    measure(read_robots, answer(f"{agents}User-agent: *\n" + "Disallow: /a\n" * 3000))


@pytest.mark.parametrize("line", ["User-agent: Bot*", "USERAGENT bot", "user  agent\tbot", " User-Agent :bot # braid"])
def test_rules_for_others_are_no_rules_for_us(line: str) -> None:
    text = f"User-agent: x\nUser-agent: braid\nDisallow: /b\n\n{line}\nDisallow: /a\n"
    rules = read_robots(answer(text, "text/plain"))
    assert [rules.can_fetch(f"http://x.org{path}", AGENT) for path in ("/a", "/b")] == [True, False]


def test_lists_have_an_end() -> None:
    listed = read_llms_txt(answer("".join(f"[a](/{number})" for number in range(MOST_URLS // 8))))
    assert (len(listed.pages), listed.whole) == (MOST_URLS // 8, True)
    page = read_page(answer("".join(f"<a href=/{number}>" for number in range(10_001))))
    assert (len(page.links), page.whole) == (10_000, False)


def test_a_page_is_read_as_browsers_read_it() -> None:
    page = read_page(
        answer(
            "<!-- <a href=/no> --><!--><A HREF = '/one?a=1&amp;b=2' href=/no>x</a><script>'<a href=/no>'</SCRIPT >"
            "<a title=\">\" href=two><a/href=three><a href><link rel='x canonical' href=/own>"
            "<a rel=nofollow href=/no><meta name=Robots content='NOINDEX'><title><a href=/no></title><a href=/four"
        )
    )
    assert page.links == [f"http://x.org/{path}" for path in ("one?a=1&b=2", "two", "three")]
    assert (page.canonical, page.keep, page.follow, page.whole) == ("http://x.org/own", False, True, True)


async def test_nothing_is_read_in_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, int] = {}
    for module, name in (
        *((site_index, name) for name in ("read_llms_txt", "read_robots", "read_sitemap")),
        (web_site, "read_page"),
    ):
        read = getattr(module, name)

        def note(given: WebResponse, *, name: str = name, read: Callable[[WebResponse], Any] = read) -> Any:
            threads[name] = threading.get_ident()
            return read(given)

        monkeypatch.setattr(module, name, note)
    async with Site() as site:
        for path, body in {"/robots.txt": "", "/llms.txt": "", "/sitemap.xml": "<urlset/>"}.items():
            site.pages[path] = Page(body, "text/plain")
        site.html("/", "Start")
        addresses = PublicAddresses(("127.0.0.1/32",))
        async with open_site(site.url, 1, 9, PathFilter(), addresses, tmp_path / "work", pause=0.0) as reader:
            await reader.scan({})
    assert len(threads) == 4
    assert threading.get_ident() not in threads.values()
    await asyncio.sleep(0)
