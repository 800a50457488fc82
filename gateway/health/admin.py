"""The operator's own port: health with addresses and reasons, and the metrics. Nobody else should reach it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
import uvicorn

from gateway.engines import EnginePool, Reconciler
from gateway.health.figures import Figures
from gateway.health.readiness import Readiness

__all__ = ["AdminApp", "serve_admin"]

_log = structlog.get_logger()
_JSON, _TEXT = b"application/json", b"text/plain; version=0.0.4; charset=utf-8"


class AdminApp:
    """An ASGI application with `/healthz`, `/readyz` and `/metrics`.

    `/readyz` says what the clients' one says, and of each engine its address, why it isn't ready, what it holds, and
    which adapters aren't where they should be.
    """

    def __init__(
        self, figures: Figures, check: Callable[[], Awaitable[Readiness]], pool: EnginePool, reconciler: Reconciler
    ) -> None:
        self._figures = figures
        self._check = check
        self._pool = pool
        self._reconciler = reconciler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, kind, body = await self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, _TEXT, b"This port is only read.\n"
        match path:
            case "/healthz":
                return 200, _JSON, b'{"status":"ok"}'
            case "/readyz":
                return await self._describe()
            case "/metrics":
                return 200, _TEXT, await self._figures.render_text()
            case _:
                return 404, _TEXT, b"There are /healthz, /readyz and /metrics.\n"

    async def _describe(self) -> tuple[int, bytes, bytes]:
        readiness = await self._check()
        body = {
            **msgspec.structs.asdict(readiness.make_body()),
            "replicas": self._pool.list_states(),
            "adapter_failures": self._reconciler.list_failures(),
        }
        return 200 if readiness.ready else 503, _JSON, msgspec.json.encode(body)


class _Server(uvicorn.Server):
    """Leaves the signals to the process that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve_admin(host: str, port: int, app: AdminApp) -> AsyncGenerator[int | None]:
    """Serve the operator's port, and yield its number (0 takes a free one).

    Where it can't be had, that is logged, None is yielded, and the process does its work all the same.
    """
    listener = _listen(host, port)
    if listener is None:
        yield None
        return
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http="httptools",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        limit_concurrency=16,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def _listen(host: str, port: int) -> socket.socket | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        _log.error("admin_port_unavailable", host=host, port=port, reason=str(error))
        return None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        _log.error("admin_port_unavailable", host=host, port=port, reason=error.strerror)
        return None
    return listener
