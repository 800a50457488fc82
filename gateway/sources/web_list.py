"""A site's word on all of its pages: sitemaps, `llms.txt`, `robots.txt`, each read in one pass, within bounds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn
from xml.parsers import expat

from protego import Protego

from gateway.sources.web_client import AGENT, WebResponse, expand_gzip, normalize
from gateway.sources.web_page import LONGEST_URL, read_text

__all__ = ["MOST_URLS", "SiteList", "SitemapUnreadable", "read_llms_txt", "read_robots", "read_sitemap"]

MOST_URLS = 50_000
"""Of a list, as the format of sitemaps has it; and of a site."""

_XML_BYTES = 32 << 20
_MOST_ELEMENTS = 1_000_000
_GZIP = b"\x1f\x8b"
_LLMS_BYTES = 4 << 20
_ROBOTS_BYTES = 500 << 10  # RFC 9309 asks for so many at least

# Begins with what no other part of it can have in it, and takes nothing back, so that no character is read twice.
_LINK = re.compile(rf"\]\([ \t]*+<?([^)\]\s<>]{{1,{LONGEST_URL}}}+)(?=[)\s>])")
_BEFORE_XML = re.compile(rb"\A(?:\xef\xbb\xbf)?\s+(?=<)")
"""Blank lines before a sitemap, as programs leave them there, which XML doesn't allow."""
_TEXT_LIST = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*+(?:https?://[^\s<>]{1,2000}+\s*+)++\Z")
_AGENT_LINE = re.compile(r"\s*+user(?:-?+|\s++)agent(?:\s*+:|\s)\s*+([^#]*+)", re.IGNORECASE)


class SitemapUnreadable(Exception):
    """Bytes that are no sitemap."""


@dataclass(frozen=True, slots=True)
class SiteList:
    """The pages that a list names, and the other lists; `whole`: it has no more."""

    pages: list[str]
    lists: list[str]
    whole: bool = True


def read_sitemap(answer: WebResponse) -> SiteList:
    """Read a sitemap, packed (gzip) or not; it may be a text, with a URL in each line.

    Raises:
        SitemapUnreadable: It is none. One with a document type isn't read: entities could grow without end.
    """
    sitemap = _Sitemap()
    try:
        body = answer.body
        body = expand_gzip(body, _XML_BYTES) if body.startswith(_GZIP) else body
        if _TEXT_LIST.match(body):
            return _read_text_list(body, answer.url)
        sitemap.parse(_BEFORE_XML.sub(b"", body, count=1))
    except (expat.ExpatError, ValueError, LookupError):
        raise SitemapUnreadable from None
    places = sitemap.places[:MOST_URLS]
    urls = _normalize_all(places, answer.url)
    whole = len(places) == len(sitemap.places)
    return SiteList(urls, [], whole) if sitemap.root == "urlset" else SiteList([], urls, whole)


def _read_text_list(body: bytes, base: str) -> SiteList:
    lines = dict.fromkeys(body.decode("utf-8-sig", errors="replace").split())
    return SiteList(_normalize_all(islice(lines, MOST_URLS), base), [], len(lines) <= MOST_URLS)


def read_llms_txt(answer: WebResponse) -> SiteList:
    """Read the links of an `llms.txt`: a Markdown page that lists what is worth reading."""
    targets = dict.fromkeys(match[1] for match in _LINK.finditer(read_text(answer, _LLMS_BYTES)))
    whole = len(answer.body) <= _LLMS_BYTES and len(targets) <= MOST_URLS
    return SiteList(_normalize_all(islice(targets, MOST_URLS), answer.url), [], whole)


def read_robots(answer: WebResponse) -> Protego:
    """Read a site's rules for us. Those for others are put together, since each rule is kept once for each name."""
    lines = read_text(answer, _ROBOTS_BYTES).splitlines()
    return Protego.parse("\n".join("User-agent: other" if _is_of_other(line) else line for line in lines))


def _is_of_other(line: str) -> bool:
    match = _AGENT_LINE.match(line)
    name = match[1].strip().lower() if match else ""
    return name not in ("", "*") and (not name.strip("*") or name.replace("*", "") not in AGENT)


def _normalize_all(texts: Iterable[str], base: str) -> list[str]:
    urls = (normalize(text, base) for text in texts if len(text) <= LONGEST_URL)
    return list(dict.fromkeys(url for url in urls if url is not None))


class _Sitemap:
    """Reads a sitemap's places as the parser comes to them: a tree of its elements would take a hundred times its size.

    Namespaces aren't looked up, since a long one would be copied for each element.
    """

    def __init__(self) -> None:
        self.root = ""
        self.places: list[str] = []
        self._depth = 0
        self._elements = 0
        self._text: list[str] | None = None

    def parse(self, data: bytes) -> None:
        """Parse it, at once: the parser would read a part without its end again with the next one."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add
        parser.Parse(data, True)

    def _refuse(self, *_declaration: object) -> NoReturn:
        raise SitemapUnreadable

    def _begin(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        local = name.rpartition(":")[2]
        if self._depth == 1:
            self.root = local
        if self.root not in ("urlset", "sitemapindex") or self._elements > _MOST_ELEMENTS:
            raise SitemapUnreadable
        if self._depth == 3 and local == "loc":
            self._text = []

    def _end(self, _name: str) -> None:
        if self._depth == 3 and self._text is not None:
            self.places.append("".join(self._text).strip())
            self._text = None
        self._depth -= 1

    def _add(self, text: str) -> None:
        if self._text is not None and self._depth == 3:
            self._text.append(text)
