"""A model hub on this machine, as far as a download of a model asks one: a listing, and files with their digests."""

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

__all__ = ["Cut", "open_hub"]

_COMMIT = "0" * 40


class Cut:
    """The hub's line: it sends `limit` bytes of files and then breaks off, or hangs, until it is mended.

    Attributes:
        limit: None sends everything.
        mended: Set when nothing hangs any more.
        sent: The bytes of each file's content that went out.
    """

    def __init__(self, limit: int | None = None, *, hangs: bool = False) -> None:
        self.limit = limit
        self.mended = Event()
        if not hangs:
            self.mended.set()
        self.sent: Counter[str] = Counter()

    def take(self, size: int) -> int:
        """Return how many of so many bytes may still be sent."""
        if self.limit is None:
            return size
        part = min(size, self.limit)
        self.limit -= part
        return part


class _Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repository: str, files: Mapping[str, bytes], line: Cut) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository, self.files, self.line = repository, files, line


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Hub  # type: ignore[assignment]

    def do_GET(self) -> None:
        name = self._name_file()
        if name is None:
            self._answer(self._list(), with_body=True)
        elif self.server.line.limit == 0:
            self.send_error(503)
            self.close_connection = True
        else:
            self._send_file(name)

    def do_HEAD(self) -> None:
        name = self._name_file()
        self._answer(self._list() if name is None else self.server.files[name], with_body=False)

    def _send_file(self, name: str) -> None:
        content = self.server.files[name]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self._end_headers(content, len(rest))
        part = rest[: self.server.line.take(len(rest))]
        self.server.line.sent[name] += len(part)
        self.wfile.write(part)
        self.close_connection = len(part) < len(rest)
        if self.close_connection:
            self.wfile.flush()
            self.server.line.mended.wait(60)

    def _answer(self, content: bytes | None, *, with_body: bool) -> None:
        self.send_response(404 if content is None else 200)
        self._end_headers(content or b"", len(content or b""))
        if with_body:
            self.wfile.write(content or b"")

    def _end_headers(self, content: bytes, size: int) -> None:
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", _COMMIT)
        self.end_headers()

    def _name_file(self) -> str | None:
        name = self.path.partition("?")[0].removeprefix(f"/{self.server.repository}/resolve/{_COMMIT}/")
        return name if name in self.server.files else None

    def _list(self) -> bytes | None:
        path = self.path.partition("?")[0]
        if f"{path}/".startswith(f"/api/models/{self.server.repository}/"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in self.server.files.items()]
            return json.dumps({"id": self.server.repository, "sha": _COMMIT, "siblings": siblings}).encode()
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def open_hub(repository: str, files: Mapping[str, bytes], line: Cut | None = None) -> Generator[str]:
    """Serve one repository of models and give the hub's URL; it knows no other repository."""
    server = _Hub(repository, files, line or Cut())
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
