"""OpenAI's API as far as an import reads it: pages of recorded objects, contents of files, and faults on demand."""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["KEY", "Fault", "HostedServer", "Recording"]

KEY = "sk-hosted-secret-of-a-project"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request meets instead of its answer: a status, or a wait before the answer (status 0).

    `error` is the member of that name in the body.
    """

    status: int = 0
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    error: Any = None


@dataclass
class Recording:
    """Objects by the path that lists them, and bytes by the path that has them; `gone` are paths that have ended."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    page: int = 2


class HostedServer:
    """Answers from a recording. `faults` are met once each, by path, before the answer; `requests` are the paths."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[str] = []
        self.cursors: list[tuple[str, str]] = []
        self.on_request: Callable[[str], None] = lambda _path: None
        self.url = ""

    @contextmanager
    def running(self) -> Generator["HostedServer"]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # head and body in one packet

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        self.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        try:
            yield self
        finally:
            http.shutdown()
            thread.join()
            http.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        path, query = unquote(parts.path).removeprefix("/v1"), parse_qs(parts.query)
        self.requests.append(path)
        self.on_request(path)
        if handler.headers["authorization"] != f"Bearer {KEY}":
            _send(handler, 401, _error("Incorrect API key provided."))
            return
        if self.faults[path]:
            fault = self.faults[path].popleft()
            time.sleep(fault.seconds)
            if fault.status:
                body = _error("The server had an error.")
                body = body if fault.error is None else json.dumps({"error": fault.error}).encode()
                _send(handler, fault.status, body, fault.headers)
                return
        if path in self.recording.contents:
            _send(handler, 200, self.recording.contents[path])
        elif path in self.recording.texts:
            _send(handler, 200, self._page_of_text(path, query))
        elif path in self.recording.lists:
            _send(handler, 200, self._page(path, query))
        elif path.endswith("/content"):
            _send(handler, 400, _error("Not allowed to download files of purpose: assistants"))
        else:
            _send(handler, 404, _error(f"Invalid URL (GET /v1{path})"))

    def _page(self, path: str, query: dict[str, list[str]]) -> bytes:
        models, start = query.get("model"), 0
        rows = [row for row in self.recording.lists[path] if models is None or row["model"] in models]
        if "after" in query:
            self.cursors.append((path, query["after"][0]))
            start = [row["id"] for row in rows].index(query["after"][0]) + 1
        data = rows[start : start + self.recording.page]
        more = start + len(data) < len(rows)
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        ends = {} if path == "/fine_tuning/jobs" else ends  # which has no cursors in its pages
        return json.dumps({"object": "list", "data": data, "has_more": more, **ends}).encode()

    def _page_of_text(self, path: str, query: dict[str, list[str]]) -> bytes:
        number = int(query.get("page", ["0"])[0])
        texts = self.recording.texts[path]
        more = number + 1 < len(texts)
        page = {"object": "vector_store.file_content.page", "data": [{"type": "text", "text": texts[number]}]}
        return json.dumps(page | {"has_more": more, "next_page": str(number + 1) if more else None}).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error", "param": None, "code": None}}).encode()


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    try:
        handler.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
    except OSError:
        pass  # the client has gone, or was killed
