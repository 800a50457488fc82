"""A web site on loopback, of pages that a test writes."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Page:
    body: str | bytes = ""
    media: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Site:
    """`pages` are by path; `asked` are the paths that were asked for, and `sent` those that were sent whole.

    It answers so many requests as are `left`, and is busy for an hour then.
    """

    def __init__(self, **pages: Page) -> None:
        self.pages: dict[str, Page] = dict(pages)
        self.asked: list[str] = []
        self.sent: list[str] = []
        self.hosts: list[str] = []
        self.port = 0
        self.left = math.inf
        self.on_ask: Callable[[str], None] = lambda _path: None

    def html(self, path: str, text: str, *links: str, head: str = "", **headers: str) -> None:
        body = "".join(f'<a href="{link}">x</a>' for link in links)
        page = f"<html><head>{head}</head><body><p>{text}</p>{body}</body></html>"
        self.pages[path] = Page(page, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            asked = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            self.hosts.append(asked["host"])
            self.asked.append(path)
            self.on_ask(path)
            self.left -= 1
            page = self.pages.get(path, Page("no such page", status=404))
            if self.left < 0:
                page = Page(status=429, headers={"retry-after": "3600"})
            tag = page.headers.get("etag", "").lower()
            if tag and asked.get("if-none-match") == tag:
                page = Page(status=304)
            elif page.status == 200:
                self.sent.append(path)
            body = page.body if isinstance(page.body, bytes) else page.body.encode()
            lines = {
                "content-type": page.media,
                "content-length": str(len(body)),
                "connection": "close",
                **page.headers,
            }
            text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"HTTP/1.1 {page.status} X\r\n{text}\r\n".encode() + (b"" if page.status == 304 else body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
