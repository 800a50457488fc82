"""HTTP to a site that a tenant named: GET alone, to public addresses, within bounds of size, time and rate."""

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

import httpcore2

from gateway.sources.public_addresses import PinnedNetwork, PublicAddresses
from gateway.sources.reader import ItemUnreadable, SourceBusy
from retrieval.patience import Patience

__all__ = [
    "AGENT",
    "Hop",
    "RedirectForbidden",
    "WebClient",
    "WebResponse",
    "expand_gzip",
    "find_end_of_wait",
    "normalize",
    "open_web_client",
]

AGENT = "braid"
"""The name by which a site's `robots.txt` means us."""

_MOST_BYTES = 16 << 20
_SECONDS = 60.0
_REDIRECTS = 5
_LONGEST_HOST = 253
_TOO_MANY = 429
_BUSY = (_TOO_MANY, 503)
_LONGEST_WAIT_SECONDS = 30.0
_MOST_REFUSALS = 3
"""Answers one after the other that say to ask less before a site is left alone. Pages that are broken for ever may
answer 503 as well, but without a time to ask again, and hide no others."""
_GZIP = ("gzip", "x-gzip")
_GZIP_PART = 4096
"""Bytes that are given to a member, which copies those behind its end: 20 are enough for one."""

_PERMANENT = (301, 308)
_TIMEOUTS = {"connect": 10.0, "read": 20.0, "write": 20.0, "pool": 20.0}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hop:
    """A URL that redirected; `permanent`: the page isn't there any more, else it may be again tomorrow."""

    url: str
    permanent: bool


class RedirectForbidden(Exception):
    """A redirect leads where this source doesn't go; `hops` are those up to there."""

    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__("It redirects elsewhere.")
        self.hops = hops


@dataclass(frozen=True, slots=True)
class WebResponse:
    """An answer, by the URL that gave it in the end, after `hops`; names of headers are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    hops: Sequence[Hop] = ()


def normalize(url: str, base: str = "") -> str | None:
    """Return a URL as it is asked for, absolute and without a fragment; None where it is none of the web."""
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        host, port = parts.hostname or "", parts.port
        encoded = host.encode("idna").decode() if len(host) <= _LONGEST_HOST else ""  # the codec is slow
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in _PORTS or not encoded or "@" in parts.netloc:
        return None
    host = f"[{encoded}]" if ":" in encoded else encoded
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit(SplitResult(parts.scheme, place, path, quote(parts.query, safe="=&%/?:@!$'()*+,;~-._[]"), ""))


def expand_gzip(body: bytes, most_bytes: int) -> bytes:
    """Unpack bytes that are packed by gzip.

    Raises:
        ValueError: They are broken, or have more than `most_bytes` in them.
    """
    unpacked, at = bytearray(), 0
    while at < len(body):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            part = body[at : at + _GZIP_PART]
            try:
                unpacked += member.decompress(part, most_bytes + 1 - len(unpacked))
            except zlib.error as error:
                raise ValueError("The bytes are broken.") from error
            if not part or len(unpacked) > most_bytes:
                raise ValueError("There are too many bytes, or some are missing.")
            at += len(part) - len(member.unused_data)
        while body[at : at + 1] == b"\0":
            at += 1
    return bytes(unpacked)


@asynccontextmanager
async def open_web_client(addresses: PublicAddresses, pause: float) -> AsyncGenerator["WebClient"]:
    """Open a client that waits `pause` seconds between two requests."""
    async with httpcore2.AsyncConnectionPool(
        network_backend=PinnedNetwork(addresses), max_connections=2, keepalive_expiry=10.0
    ) as pool:
        yield WebClient(pool, pause)


class WebClient:
    """Asks one site, one request after another.

    Attributes:
        pause: Seconds between two requests.
        is_refused: Whether the site is left alone.
        busy_until: Unix seconds until when, where it says so.
    """

    def __init__(self, pool: httpcore2.AsyncConnectionPool, pause: float) -> None:
        self.pause = pause
        self.is_refused = False
        self.busy_until: float | None = None
        self._pool = pool
        self._next = 0.0
        self._refusals = 0

    @property
    def is_refusing(self) -> bool:
        """Whether the last answer was that there were too many requests, or when to ask again."""
        return self._refusals > 0

    async def get(
        self, url: str, may_ask: Callable[[str], bool], headers: Mapping[str, str] | None = None
    ) -> WebResponse:
        """Get a URL and follow its redirects, each looked at like the first.

        A site that says when to ask again (`Retry-After`) is asked then, if that is soon, and once. If it isn't, or the
        site said so, or that there were too many requests, each of the last times, it is asked for nothing more.

        Raises:
            RedirectForbidden: A redirect goes where `may_ask` says no, or from https to http.
            ItemUnreadable: No answer in time, or one that is too large.
            SourceBusy: The site is left alone.
            SourceUnreadable: The host's addresses aren't public.
        """
        hops: list[Hop] = []
        try:
            async with Patience(_SECONDS):
                for _ in range(_REDIRECTS + 1):
                    answer = await self._ask(url, headers or {})
                    if (wait := _find_wait(answer)) is not None and wait <= _LONGEST_WAIT_SECONDS:
                        self._next = max(self._next, time.monotonic() + wait)
                        answer = await self._ask(url, headers or {})
                    self._note_refusal(answer)
                    if answer.status not in (*_PERMANENT, 302, 303, 307) or "location" not in answer.headers:
                        return replace(answer, hops=hops)
                    hops.append(Hop(url, answer.status in _PERMANENT))
                    target = normalize(answer.headers["location"], url)
                    falls = url.startswith("https:") and not (target or "").startswith("https:")
                    if target is None or falls or not may_ask(target):
                        raise RedirectForbidden(hops)
                    url = target
        except TimeoutError:
            raise ItemUnreadable(f"It took longer than {_SECONDS:g} seconds.") from None
        raise ItemUnreadable(f"It redirects more than {_REDIRECTS} times.")

    def _note_refusal(self, answer: WebResponse) -> None:
        says_when = answer.status in _BUSY and "retry-after" in answer.headers
        is_too_many = answer.status == _TOO_MANY
        self._refusals = self._refusals + 1 if says_when or is_too_many else 0
        self.is_refused = (says_when and is_too_many) or self._refusals == _MOST_REFUSALS
        if self.is_refused:
            self.busy_until = find_end_of_wait(answer) or self.busy_until

    async def _ask(self, url: str, more: Mapping[str, str]) -> WebResponse:
        if self.is_refused:
            raise SourceBusy(self.busy_until)
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        headers = {
            "host": urlsplit(url).netloc,
            "user-agent": f"{AGENT} (documents of a vector store)",
            "accept": "text/html, text/markdown, text/plain, application/pdf, */*;q=0.1",
            "accept-encoding": "identity",
            **more,
        }
        timeouts = {"timeout": dict(_TIMEOUTS)}
        try:
            async with self._pool.stream("GET", url, headers=list(headers.items()), extensions=timeouts) as response:
                body = bytearray()
                async for part in response.aiter_stream():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise ItemUnreadable(f"It is larger than {_MOST_BYTES >> 20} MB.")
                answer_headers = _read_headers(response.headers)
                coding = answer_headers.get("content-encoding", "identity").strip().lower()
                content = await asyncio.to_thread(_decode, bytes(body), coding)
                return WebResponse(url, response.status, answer_headers, content)
        except (
            httpcore2.NetworkError,
            httpcore2.TimeoutException,
            httpcore2.ProtocolError,
            httpcore2.UnsupportedProtocol,
        ) as error:
            raise ItemUnreadable(f"It can't be reached: {type(error).__name__}.") from error
        finally:
            self._next = time.monotonic() + self.pause


def _read_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in lower case; what is said to robots may be in several of a name."""
    read: dict[str, str] = {}
    for name, value in ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers):
        read[name] = f"{read[name]}, {value}" if name == "x-robots-tag" and name in read else value
    return read


def _decode(body: bytes, coding: str) -> bytes:
    """Return a body as it is without its coding, which wasn't asked for: some servers have pages in no other."""
    if coding in ("", "identity") or not body:
        return body
    if coding not in _GZIP:
        raise ItemUnreadable("It came compressed, which wasn't asked for.")
    try:
        return expand_gzip(body, _MOST_BYTES)
    except ValueError:
        raise ItemUnreadable(f"It came compressed, and is broken or larger than {_MOST_BYTES >> 20} MB.") from None


def find_end_of_wait(answer: WebResponse) -> float | None:
    """Return the Unix seconds until which a site that is busy wants to be left alone; None where it names none."""
    wait = _find_wait(answer)
    return None if wait is None else time.time() + wait


def _find_wait(answer: WebResponse) -> float | None:
    """Return the seconds that a site that is busy asks for; None where it asks for none.

    A moment is compared with the site's own clock, if it tells the time.
    """
    text = answer.headers.get("retry-after", "").strip() if answer.status in _BUSY else ""
    try:
        if text.isdecimal():
            return float(text)
        until, now = _read_date(text), _read_date(answer.headers.get("date", ""))
    except OverflowError:
        return None
    return None if until is None else max(until - (time.time() if now is None else now), 0.0)


def _read_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()  # "-0000" is UTC, with no zone
    except ValueError:
        return None
