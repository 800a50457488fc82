"""Lists and links of a site, as their formats have them: HTML, sitemaps, `llms.txt`."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

from gateway.sources.web_client import Answer, normalize

__all__ = ["PageFacts", "SitemapUnreadable", "read_llms_txt", "read_page", "read_sitemap", "read_text"]

_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)
_LINK = re.compile(r"\[[^\]\n]{0,500}\]\(\s*<?([^)\s>]{1,2000})>?[^)\n]{0,500}\)")
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class SitemapUnreadable(Exception):
    """Bytes that are no sitemap."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """A page's links in their order, the URL that it calls its own, and whether it may be kept and followed."""

    links: list[str] = field(default_factory=list[str])
    canonical: str | None = None
    keep: bool = True
    follow: bool = True


def read_text(answer: Answer) -> str:
    """Return an answer's body as text, in the character set that it names, else UTF-8."""
    named = _CHARSET.search(answer.headers.get("content-type", ""))
    try:
        return answer.body.decode(named[1] if named else "utf-8", errors="replace")
    except LookupError:
        return answer.body.decode(errors="replace")


def read_page(answer: Answer) -> PageFacts:
    """Read what an HTML page says of itself and of others; nothing in it is run, nothing else is loaded."""
    parser = _Parser()
    parser.feed(read_text(answer))
    parser.close()
    base = (parser.base and normalize(parser.base, answer.url)) or answer.url
    links = [link for href in parser.hrefs if (link := normalize(href, base)) is not None]
    canonical = normalize(parser.canonical, base) if parser.canonical else None
    rules = f"{parser.robots},{answer.headers.get('x-robots-tag', '')}".lower()
    words = {word.strip() for word in rules.split(",")}
    return PageFacts(
        list(dict.fromkeys(links)),
        canonical,
        keep=not words & {"noindex", "none"},
        follow=not words & {"nofollow", "none"},
    )


def read_sitemap(answer: Answer) -> tuple[list[str], list[str]]:
    """Return the pages of a sitemap, and the sitemaps that it names.

    Raises:
        SitemapUnreadable: It is none. One with a document type isn't read: entities could grow without end.
    """
    if _DECLARATION.search(answer.body):
        raise SitemapUnreadable
    try:
        root = ElementTree.fromstring(answer.body)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise SitemapUnreadable from None
    name = root.tag.rsplit("}", 1)[-1]
    if name not in ("urlset", "sitemapindex"):
        raise SitemapUnreadable
    texts = [place.text or "" for entry in root for place in entry if place.tag.rsplit("}", 1)[-1] == "loc"]
    urls = [url for text in texts if (url := normalize(text, answer.url)) is not None]
    return (urls, []) if name == "urlset" else ([], urls)


def read_llms_txt(answer: Answer) -> list[str]:
    """Return the links of an `llms.txt`: a Markdown page that lists what is worth reading."""
    links = [normalize(match[1], answer.url) for match in _LINK.finditer(read_text(answer))]
    return list(dict.fromkeys(link for link in links if link is not None))


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.hrefs: list[str] = []
        self.base = ""
        self.canonical = ""
        self.robots = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        href = values.get("href", "")
        if tag == "a" and href and "nofollow" not in values.get("rel", "").lower().split():
            self.hrefs.append(href)
        elif tag == "base" and href and not self.base:
            self.base = href
        elif tag == "link" and href and "canonical" in values.get("rel", "").lower().split():
            self.canonical = self.canonical or href
        elif tag == "meta" and values.get("name", "").lower() in ("robots", "braid"):
            self.robots += f",{values.get('content', '')}"
