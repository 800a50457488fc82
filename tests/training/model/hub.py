"""A model hub on this machine, as far as a download of a snapshot asks one: a listing, and files with their digests."""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["open_hub"]

_COMMIT = "0" * 40


@contextmanager
def open_hub(repository: str, files: Mapping[str, bytes]) -> Generator[str]:
    """Serve one repository of models and give the hub's URL; it knows no other repository."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            status, content = 200, self._find_content()
            if content is None:
                status, content = 404, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", _COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def _find_content(self) -> bytes | None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{repository}/revision/"):
                siblings = [{"rfilename": name} for name in files]
                return json.dumps({"id": repository, "sha": _COMMIT, "siblings": siblings}).encode()
            if path.startswith(f"/api/models/{repository}/tree/"):
                entries = [
                    {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for name, content in files.items()
                ]
                return json.dumps(entries).encode()
            return files.get(path.removeprefix(f"/{repository}/resolve/{_COMMIT}/"))

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
