"""Runs the gateway on uvicorn, and ends it well: requests finish within the grace time, exit status 0."""

import asyncio
import contextlib
import gc
import math
import resource
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog
import uvicorn

from gateway.app import create_app
from gateway.composition import open_gateway_admin, open_state
from gateway.settings import Settings
from gateway.web.bounded_protocol import BoundedProtocol, ConnectionBounds
from gateway.web.state import State

__all__ = ["choose_bounds", "fit_files", "serve"]

_log = structlog.get_logger()

_CLOSING_SECONDS = 1
_OWN_FILES = 64
"""The most files that a gateway without clients has open, but for its database: logs, listeners, the retriever."""
_FILES_OF_DATABASE = 3
"""Per connection to it, of SQLite: the database, its log, and a journal or a temporary file."""


def choose_bounds(settings: Settings) -> ConnectionBounds:
    """Return the bounds on clients' connections that the operator's settings make."""
    return ConnectionBounds(
        settings.max_connections,
        settings.max_connections_per_client,
        pause_seconds=settings.client_pause_seconds,
        body_seconds=max(ConnectionBounds().body_seconds, settings.client_pause_seconds),
        write_seconds=settings.client_unread_seconds,
    )


def fit_files(bounds: ConnectionBounds, files: int, databases: int) -> ConnectionBounds:
    """Return bounds within which connections never need more files than the process may have open.

    Without them whatever happens to need the next file fails: the database, an engine's health check, an answer.

    Args:
        bounds: What else bounds them.
        files: So many may be open.
        databases: Of the files, connections to the database.
    """
    free = max(files - _OWN_FILES - _FILES_OF_DATABASE * databases, 2)
    refused = min(bounds.refused_connections, free // 5)
    # Each request that is answered has two files: the client's connection, and the engine's or a file.
    return replace(bounds, connections=min(bounds.connections, (free - refused) // 2), refused_connections=refused)


class _Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn would tell running streams nothing, and end by the signal it caught."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; returns when everything is closed."""
    states: list[State] = []

    @asynccontextmanager
    async def state() -> AsyncGenerator[State]:
        async with open_state(settings) as opened_state, open_gateway_admin(settings, opened_state):
            states.append(opened_state)
            gc.collect()
            gc.freeze()  # what is there now stays: no collection has to walk it again
            gc.set_threshold(10_000, 20, 50)
            yield opened_state

    limits = choose_bounds(settings)
    bounds = fit_files(limits, files := _raise_file_limit(), settings.database_connections)
    if bounds.connections < limits.connections:
        _log.warning("too_few_open_files", files=files, connections=bounds.connections, wanted=limits.connections)
    config = uvicorn.Config(
        create_app(state, cors_origins=settings.cors_origins),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=partial(BoundedProtocol, bounds=bounds, clients=Counter()),  # pyright: ignore
        ws="none",
        proxy_headers=False,
        access_log=False,  # we have our own
        log_config=None,
        backlog=2048,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds) + _CLOSING_SECONDS,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    leaving: list[asyncio.Task[None]] = []
    deadline = math.inf

    async def leave(grace: float) -> None:
        nonlocal deadline
        deadline = min(deadline, loop.time() + grace)
        try:
            if states:
                await states[0].drain.finish(grace)
        finally:
            # What remains of the grace time is for clients that still read an answer which is whole.
            config.timeout_graceful_shutdown = math.ceil(max(deadline - loop.time(), 0.0)) + _CLOSING_SECONDS
            server.should_exit = True

    def on_signal() -> None:
        if server.should_exit:  # asked again while only clients that read slowly are left
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            return
        grace = 0.0 if leaving else settings.grace_seconds  # asked twice: don't wait for the answers
        leaving.append(asyncio.create_task(leave(grace)))

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, on_signal)
    await server.serve()


def _raise_file_limit() -> int:
    """Take as many open files as the system allows, and return their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # then the limit stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
