"""An HTML page's word on itself and on others, read in one pass: whatever is in it, its length is what it costs."""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape

from gateway.sources.web_client import AGENT, WebResponse, normalize
from retrieval.parsers.charset_labels import find_encoding

__all__ = ["LONGEST_URL", "PageFacts", "read_page", "read_robot_words", "read_text", "write_utf8"]

LONGEST_URL = 2000
"""Characters; a longer address isn't followed."""

_BYTES = 4 << 20
_MOST_LINKS = 10_000
_REFERENCES = {"a": "href", "area": "href", "frame": "src"}
"""Attributes of elements that lead to another page."""

_REFRESH = re.compile(r"\s*+(\d++)[\d.]*+[\s;,]++(?:url\s*+=\s*+)?+[\"']?+([^\"'\s]++)", re.IGNORECASE)
_MOVED_SECONDS = 5
"""A page that shows another one after so many seconds, or fewer, is none that anybody reads."""

_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)
_OWN_CHARSET = re.compile(
    rb"<meta\b[^>]{0,300}?charset\s*=\s*[\"']?[\w-]|<\?xml\b[^>]{0,300}?encoding|\A(?:\xff\xfe|\xfe\xff)", re.IGNORECASE
)
_HEAD_BYTES = 4096
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODECS = re.compile(r"ascii|utf-(?:8|16|32)|iso8859-|cp\d|koi8-|mac-|tis-|gb|big5|euc_|shift_jis|iso2022_|hz|johab")
"""Those of texts. Python has others, of which some (`punycode`) take the square of a text's length."""

# Each reads on where the one before it ended, and none goes back: the quantifiers are possessive. (`html.parser` reads
# a tag without an end again and again: a page of 12 KB took 20 s.)
_OPENING = re.compile(r"<(?:!--|(/?[A-Za-z][^\s/>]*+))")
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(>)|([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)?+))?+)"""
)
_TEXTS = {
    name: re.compile(rf"</{name}(?![^\s/>])", re.IGNORECASE)
    for name in ("iframe", "noframes", "script", "style", "textarea", "title", "xmp")
}
"""The ends of elements in which a tag is text."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """A page's links in their order, the URL that it calls its own, and whether it may be kept and followed.

    `whole`: it was read to its end, so that it has no other links.
    """

    links: list[str] = field(default_factory=list[str])
    canonical: str | None = None
    keep: bool = True
    follow: bool = True
    whole: bool = True


def read_text(answer: WebResponse, most_bytes: int | None = None) -> str:
    """Return the beginning of an answer's body as text, in the character set that it shows or names, else UTF-8.

    The mark by which a text shows its character set is none of it: the first rule of a `robots.txt` would be unknown.
    """
    body = answer.body[:most_bytes]
    if body.startswith(_UTF16):
        return body.decode("utf-16", errors="replace")
    body = body.removeprefix(codecs.BOM_UTF8)
    charset = _CHARSET.search(answer.headers.get("content-type", ""))
    try:
        name = codecs.lookup(charset[1]).name if charset else "utf-8"
        return body.decode(name if _CODECS.match(name) else "utf-8", errors="replace")
    except LookupError:
        return body.decode(errors="replace")


def write_utf8(answer: WebResponse) -> bytes:
    """Return an answer's body as it is to be kept: a text in UTF-8, if only the header says in what it is written."""
    charset = _CHARSET.search(answer.headers.get("content-type", ""))
    encoding = find_encoding(charset[1]) if charset else None
    if encoding is None or not _CODECS.match(encoding) or _OWN_CHARSET.search(answer.body, 0, _HEAD_BYTES):
        return answer.body
    with suppress(UnicodeDecodeError):
        if b"\0" not in answer.body:  # which UTF-16 is full of
            answer.body.decode()
            return answer.body
    with suppress(UnicodeDecodeError):
        return answer.body.decode(encoding).encode()
    return answer.body


def read_page(answer: WebResponse) -> PageFacts:
    """Read a page; nothing in it is run, nothing else is loaded. It takes up to a second: call it in a thread."""
    hrefs: dict[str, None] = {}
    own, canonical, robots = "", "", list[str]()
    whole = len(answer.body) <= _BYTES
    moved, scripts = "", True
    for tag, values in _read_tags(read_text(answer, _BYTES)):
        href, relation = values.get("href", "").strip(), values.get("rel", "").lower().split()
        target, soon = _find_target(tag, values)
        if target:
            if len(hrefs) == _MOST_LINKS and target not in hrefs:
                whole = False
            else:
                hrefs[target] = None
            moved = moved or (target if soon and scripts else "")
        elif tag == "base" and href:
            own = own or href
        elif tag == "link" and href and "canonical" in relation:
            canonical = canonical or href
        elif tag == "meta" and values.get("name", "").lower() in ("robots", "braid"):
            robots.append(values.get("content", ""))
        elif tag.endswith("noscript"):
            scripts = tag.startswith("/")
    base = (own and normalize(own[:LONGEST_URL], answer.url)) or answer.url
    short = (href for href in hrefs if len(href) <= LONGEST_URL)
    links = [link for href in short if (link := normalize(href, base)) is not None]
    words = {word.strip() for word in ",".join(robots).lower().split(",")} | read_robot_words(answer)
    return PageFacts(
        list(dict.fromkeys(links)),
        normalize(canonical, base) if 0 < len(canonical) <= LONGEST_URL else None,
        keep=not words & {"noindex", "none"} and (not moved or normalize(moved, base) == answer.url),
        follow=not words & {"nofollow", "none"},
        whole=whole,
    )


def read_robot_words(answer: WebResponse) -> set[str]:
    """Return what an answer's `X-Robots-Tag` says to all robots, or to us by name."""
    parts = answer.headers.get("x-robots-tag", "").lower().split(",")
    return {part.strip().removeprefix(f"{AGENT}:").strip() for part in parts}


def _find_target(tag: str, values: dict[str, str]) -> tuple[str, bool]:
    """Return where an element leads, as it is written ("": nowhere), and whether a browser goes there by itself."""
    if tag == "meta":
        is_refresh = values.get("http-equiv", "").strip().lower() == "refresh"
        refresh = _REFRESH.match(values.get("content", "")) if is_refresh else None
        return ("", False) if refresh is None else (refresh[2], float(refresh[1]) <= _MOVED_SECONDS)
    nofollow = "nofollow" in values.get("rel", "").lower().split()
    return "" if nofollow or tag not in _REFERENCES else values.get(_REFERENCES[tag], "").strip(), False


def _read_tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the tags that begin elements, by their names, with their attributes."""
    position = 0
    while (opening := _OPENING.search(text, position)) is not None:
        if opening[1] is None:
            end = text.find("-->", opening.start() + 2)  # `<!-->` is a whole comment
            position = len(text) if end < 0 else end + 3
            continue
        name = opening[1].lower()
        values, position = _read_attributes(text, opening.end())
        yield name, values
        if name in _TEXTS:
            end = _TEXTS[name].search(text, position)
            position = len(text) if end is None else end.start()


def _read_attributes(text: str, position: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag, and where it ends; of several with one name the first counts.

    A tag without an end has none: browsers don't take it for one.
    """
    values: dict[str, str] = {}
    while (attribute := _ATTRIBUTE.match(text, position)) is not None:
        position = attribute.end()
        if attribute[1]:
            return values, position
        value = attribute[3] or attribute[4] or attribute[5] or ""
        values.setdefault(attribute[2].lower(), unescape(value) if "&" in value else value)
    return {}, len(text)
