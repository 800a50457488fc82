"""The real application on a real socket, with a real database; only the engine is a fake, over HTTP."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from gateway.administration.service import ensure_admin
from gateway.answering import source_check
from gateway.app import create_app
from gateway.composition import open_state
from gateway.db import open_database
from gateway.engines.repository import announce_base
from gateway.engines.served_base_model import ServedBaseModel
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.web.bounded_protocol import BoundedProtocol
from gateway.web.state import State
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import FakeVllm
from tests.gateway.blocking import forbid_blocking
from tests.gateway.compiled_statements import sharing_compiled_statements
from tests.gateway.declared import check_answer, read_description
from tests.postgresql import PostgresqlServer, find_programs
from tests.waiting import until

BASE = ServedBaseModel(name="base", path="", digest="sha256:base", chat_template_digest="sha256:template")
"""The base model that tests without one of their own take for served."""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients over plain HTTP: to read the authorities' certificates takes 30 ms for each."""
SQLITE, POSTGRESQL = "sqlite", "postgresql"
on_both_databases = pytest.mark.parametrize("database_url", [SQLITE, POSTGRESQL], indirect=True)
"""Marks tests, or a module's by `pytestmark`, that say something of the database."""
from_nothing_on_both_databases = pytest.mark.parametrize("empty_database", [SQLITE, POSTGRESQL], indirect=True)

ADMIN_KEY = "sk-braid-test-administrator-of-all-tenants"


class Gateway:
    """A running gateway; `admin` and `tenant()` give clients with keys."""

    def __init__(self, url: str, state: State) -> None:
        self.url = url
        self.state = state
        read_description()  # now, since it reads files, and answers are awaited where that is caught
        self._clients: list[httpx2.AsyncClient] = []
        self.admin = self.client(ADMIN_KEY)

    def client(self, key: str) -> httpx2.AsyncClient:
        headers, hooks = {"authorization": f"Bearer {key}"}, {"response": [check_answer]}
        client = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30, event_hooks=hooks, verify=_NO_TLS)
        self._clients.append(client)
        return client

    async def tenant(self, name: str, scopes: tuple[str, ...] = ("chat", "manage")) -> httpx2.AsyncClient:
        made = await self.admin.post("/api/tenants", json={"name": name})
        assert made.status_code in (201, 409), made.text
        key = await self.admin.post("/api/keys", json={"tenant": name, "name": "test", "scopes": list(scopes)})
        assert key.status_code == 201, key.text
        return self.client(key.json()["key"])

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    with sharing_compiled_statements():
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema and an administrator, to be copied."""
    path = tmp_path_factory.mktemp("database") / "braid.db"

    async def make() -> None:
        async with open_database(f"sqlite+aiosqlite:///{path}") as database:
            await migrate(database)
            async with database.begin() as session:
                await ensure_admin(session, ADMIN_KEY)
                await announce_base(session, BASE)

    asyncio.run(make())
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server with a database like `migrated`, to be copied."""
    programs = find_programs()
    if programs is None:
        pytest.skip("needs PostgreSQL's programs initdb and postgres, and finds none")
    with PostgresqlServer.running(programs) as server:

        async def make() -> None:
            async with open_database(server.create("migrated")) as database:
                await migrate(database)
                async with database.begin() as session:
                    await ensure_admin(session, ADMIN_KEY)
                    await announce_base(session, BASE)

        asyncio.run(make())
        yield server


@pytest.fixture
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables: SQLite, or what `on_both_databases` says."""
    if getattr(request, "param", SQLITE) == SQLITE:
        yield f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    name = uuid4().hex
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[str]:
    """The URL of a copy of `migrated`: SQLite in the test's home, or what `on_both_databases` says."""
    if getattr(request, "param", SQLITE) == SQLITE:
        shutil.copy(migrated, tmp_path / "braid.db")
        yield f"sqlite+aiosqlite:///{tmp_path / 'braid.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    name = uuid4().hex
    yield server.create(name, "migrated")
    server.drop(name)


@pytest.fixture
async def engine() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as fake:
        yield fake


@pytest.fixture
def settings(tmp_path: Path, database_url: str, engine: FakeVllm) -> Settings:
    return Settings(
        home=tmp_path,
        database_url=database_url,
        engine_urls=(engine.url,),
        engine_connect_seconds=10,  # a machine that halts for a moment is no engine that is away
        grace_seconds=2,
        source_folders=(str(tmp_path / "lent"),),
    )


_STATE: ContextVar[Callable[[], AbstractAsyncContextManager[State]]] = ContextVar("state")


@cache
def _share_app(cors_origins: tuple[str, ...]) -> FastAPI:
    """Return one application for all gateways of a test run: FastAPI works out the routes anew for each, in 0.1 s."""
    return create_app(lambda: _STATE.get()(), cors_origins=cors_origins)


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[Gateway, None]:
    """Serve the application on a free port; nothing differs from `braid serve` but the signals."""
    opened: list[State] = []

    @asynccontextmanager
    async def state() -> AsyncGenerator[State, None]:
        async with open_state(settings) as held:
            opened.append(held)
            yield held

    _STATE.set(state)  # the server's tasks inherit it
    config = uvicorn.Config(
        _share_app(tuple(settings.cors_origins)),
        port=0,
        log_level="warning",
        access_log=False,
        http=BoundedProtocol,
        ws="none",
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    gateway = Gateway(f"http://127.0.0.1:{port}", opened[0])
    try:
        await until(lambda: any(replica.ready for replica in opened[0].pool.replicas))
        yield gateway
    finally:
        await gateway.aclose()
        server.should_exit = True
        await task


@pytest.fixture
async def passages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakePassages]:
    async with FakePassages(settings.retriever_socket) as fake:
        monkeypatch.setattr(source_check, "find_live", fake.find_live)
        yield fake


@pytest.fixture
async def gateway(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    # Others run a worker or a command in the same loop; those read files, and answer nobody meanwhile.
    alone = request.path.parent.name in {"chat", "administration", "files"}
    async with running(settings) as started:
        with forbid_blocking() if alone else nullcontext():
            yield started
