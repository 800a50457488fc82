"""Histories of a site, drawn at random: a document goes when its page is gone, or a whole listing lacks it."""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpcore2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sources.path_filter import PathFilter
from gateway.sources.plan import SyncedItem, compare
from gateway.sources.reader import ItemUnreadable, SourceBusy, SourceUnreadable
from gateway.sources.web_client import WebClient
from gateway.sources.web_site import SiteReader

HOST = "http://site.invalid"
PAGES = range(4)
STATES = ("here", "here", "gone", "lost", "busy", "shut", "slow", "away", "login", "moved", "slash")
LISTS = {"/sitemap.xml": None, "/a.xml": range(2), "/b.xml": range(2, 4)}
LIST_STATES = ("here", "here", "page", "gone", "busy", "shut", "away")
STATUS = {"gone": 404, "lost": 410, "busy": 503, "shut": 403}
GONE = ("gone", "lost", "moved")


@dataclass
class Answer:
    status: int
    head: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode(), value.encode()) for name, value in self.head.items()]

    async def aiter_stream(self) -> AsyncGenerator[bytes]:
        yield self.body


class World:
    """A site of four pages, two of them linked by the others, or all in sitemaps alone; and a store that follows."""

    def __init__(self, work: Path, *, mapped: bool) -> None:
        self.mapped = mapped
        self.states = dict.fromkeys(PAGES, "here")
        self.texts = dict.fromkeys(PAGES, 0)
        self.named = dict.fromkeys(PAGES, True)
        self.lists = dict.fromkeys(LISTS, "here")
        self.known: dict[str, SyncedItem] = {}
        self.store: dict[str, bytes] = {}
        self.left = math.inf
        self._position: str | None = None
        self._work = work

    @asynccontextmanager
    async def stream(self, _method: str, url: str, *, headers: Any, **_more: Any) -> AsyncGenerator[Answer]:
        self.left -= 1
        busy = Answer(429, {"retry-after": "3600"})
        answer = busy if self.left < 0 else self._answer(urlsplit(url).path)
        tag = answer.head.get("etag")
        yield Answer(304) if tag is not None and dict(headers).get("if-none-match") == tag else answer

    def _answer(self, path: str) -> Answer:
        if path in LISTS and self.mapped:
            return self._list(path)
        if path == "/":
            return self._page("Start", [number for number in PAGES[:2] if self.named[number]])
        if path == "/login":
            return self._page("Log in", [])
        page = re.fullmatch(r"/p(\d)(/?)", path)
        if page is None:
            return Answer(404)
        number, slash = int(page[1]), bool(page[2])
        state = self.states[number]
        if state == "slow":
            raise httpcore2.ReadTimeout
        if state in STATUS:
            return Answer(STATUS[state])
        if state in ("away", "login", "moved"):
            target = "/login" if state == "login" else "http://elsewhere.invalid/"
            return Answer(301 if state == "moved" else 302, {"location": target})
        if state == "slash" and not slash:
            return Answer(301, {"location": f"{path}/"})
        if state == "here" and slash:
            return Answer(404)
        return self._page(self.text(number), [number + 2] if number < 2 and self.named[number + 2] else [])

    def _list(self, path: str) -> Answer:
        state, numbers = self.lists[path], LISTS[path]
        if state in STATUS:
            return Answer(STATUS[state])
        if state == "away":
            return Answer(302, {"location": "http://elsewhere.invalid/"})
        if state == "page":
            return self._page("Back soon", [])
        if numbers is None:
            places = "".join(f"<sitemap><loc>{name}</loc></sitemap>" for name in LISTS if name != path)
            return Answer(200, body=f"<sitemapindex>{places}</sitemapindex>".encode())
        places = "".join(f"<url><loc>/p{number}</loc></url>" for number in numbers if self.named[number])
        return Answer(200, body=f"<urlset>{places}</urlset>".encode())

    def text(self, number: int) -> str:
        return f"Page {number}, version {self.texts[number]}"

    def _page(self, text: str, links: Iterable[int]) -> Answer:
        shown = [] if self.mapped else links
        body = f"<p>{text}</p>" + "".join(f'<a href="/p{number}">x</a>' for number in shown)
        return Answer(200, {"content-type": "text/html", "etag": f'"{hash(body)}"'}, body.encode())

    def may_lack(self, number: int) -> bool:
        """Tell whether the site doesn't name a page, as far as anybody can know."""
        if not self.named[number]:
            return True
        above = number - 2
        if self.mapped or above < 0:
            return False
        was_read = not self.store.keys().isdisjoint((f"p{above}.html", f"p{above}/index.html"))
        return self.states[above] in GONE or not was_read or self.may_lack(above)

    def may_go(self, key: str) -> bool:
        page = re.fullmatch(r"p(\d)(/index)?\.html", key)
        if page is None:
            return key == "login.html"
        number, slash = int(page[1]), bool(page[2])
        return self.may_lack(number) or self.states[number] in (*GONE, "here" if slash else "slash")

    async def sync(self) -> bool:
        client = WebClient(cast(httpcore2.AsyncConnectionPool, self), 0.0)
        reader = SiteReader(client, f"{HOST}/", 3, 100, PathFilter(), self._work, self._position)
        versions = {key: item.version for key, item in self.known.items() if item.version is not None}
        try:
            listing = await reader.scan(versions)
        except SourceUnreadable:
            return False
        plan = compare(listing, self.known, self.store.keys(), now=0.0, confirmed=1000)
        wrong = [key for key in plan.delete if key in self.store and not self.may_go(key)]
        assert not wrong, f"{wrong} are there"
        for key in plan.put:
            with suppress(ItemUnreadable, SourceBusy):  # the quota is used up
                async with aclosing(reader.read(key)) as parts:
                    self.store[key] = b"".join([part async for part in parts])
                self.known[key] = SyncedItem(listing.items[key])
        for key in plan.unread:
            self.known.setdefault(key, SyncedItem(None))
        for key in plan.delete:
            self.store.pop(key, None)
            self.known.pop(key, None)
        kept = [
            number for number in PAGES if self.states[number] in ("gone", "lost") and f"p{number}.html" in self.store
        ]
        assert not kept or listing.busy_until is not None, f"{kept} are gone"
        self._position = listing.position
        for path in self._work.iterdir():
            path.unlink()
        return True


PAGE = st.tuples(st.sampled_from(PAGES), st.sampled_from(STATES))
EVENTS = st.fixed_dictionaries(
    {
        "states": st.lists(PAGE, min_size=1, max_size=3),
        "texts": st.lists(st.sampled_from(PAGES), max_size=2),
        "named": st.lists(st.tuples(st.sampled_from(PAGES), st.booleans()), max_size=2),
        "quota": st.sampled_from([[math.inf], [math.inf], [3], [5], [6], [7], [8]]),
        "lists": st.lists(st.tuples(st.sampled_from(sorted(LISTS)), st.sampled_from(LIST_STATES)), max_size=2),
    }
)


@settings(max_examples=50, deadline=None)
@given(mapped=st.booleans(), history=st.lists(EVENTS, min_size=1, max_size=4))
def test_a_store_loses_what_a_site_lost_and_nothing_else(
    tmp_path_factory: Any, mapped: bool, history: list[dict[str, list[Any]]]
) -> None:
    world = World(tmp_path_factory.mktemp("site"), mapped=mapped)

    async def live() -> None:
        for event in history:
            await world.sync()
            (world.left,) = event["quota"]
            world.states |= dict(event["states"])
            world.named |= dict(event["named"])
            world.lists |= dict(event["lists"])
            for number in event["texts"]:
                world.texts[number] += 1
        await world.sync()
        world.left = math.inf
        world.states, world.lists = dict.fromkeys(PAGES, "here"), dict.fromkeys(LISTS, "here")
        for _ in range(2):
            assert await world.sync()

    asyncio.run(live())
    listed = {number for number in PAGES if not world.may_lack(number)}
    assert {key: text for key, text in world.store.items() if key != "index.html"}.keys() == {
        f"p{number}.html" for number in listed
    }
    assert all(world.text(number).encode() in world.store[f"p{number}.html"] for number in listed)
