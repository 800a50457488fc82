"""Freshness under load: `python -m tests.bench.freshness [--documents 10000] [--others 12] [--training]`.

How long one tenant's edit takes to be live while thousands of documents of other tenants wait, more tenants than the
worker has slots, and questions come all the time, and a training runs; and how long a question takes meanwhile. The
worker is the product's, with its slots. The training is a job of a tenant: by default of a trainer that sleeps between
its steps, and with `--training` of the real one on the packaged model, which takes what it can get of the processor.
The retriever is a process of its own with the packaged embedder, or with the one of tests, which counts words
(`--embedder words`).
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from gateway.artifacts import Artifacts
from gateway.composition import open_worker
from gateway.db import Database, open_database
from gateway.engines.served_base_model import ServedBaseModel
from gateway.errors import Unavailable
from gateway.migrations import migrate
from gateway.settings import Settings
from gateway.stack.base_model import prepare_base_model
from gateway.tenants.storage import TenantStorage
from gateway.tenants.tables import TenantRow
from gateway.vector_stores.document_service import DocumentService
from gateway.vector_stores.repository import StoreRepository
from gateway.vector_stores.schemas import VectorStoreCreate, VectorStoreSearch
from gateway.vector_stores.search import SearchService
from gateway.vector_stores.service import VectorStoreService
from gateway.vector_stores.versions import Content, put_version
from retrieval.client import Retriever
from tests.bench.stack import EMBEDDERS, MODEL_PYTHON
from tests.bench.training_job import TrainingJob
from tests.fakes.trainer import write_trainer
from tests.gateway.worker import ROOT, prepare_home, wait_for_retriever
from tests.waiting import until

_OTHERS = 12
_BATCH = 200
_NO_ENGINE = "http://127.0.0.1:9"
_WORDS = "kettle lid base warranty months price euros steel glass filter scale switch cord handle litre boil".split()


@dataclass(slots=True)
class Figures:
    """Seconds of each edit and of each question; `refused` questions were told to come again."""

    edits: list[float] = field(default_factory=list)
    questions: list[float] = field(default_factory=list)
    refused: int = 0
    waiting: int = 0
    """Documents of the others that still waited in the end."""
    steps: int = 0
    """Steps of the training while the edits were made."""


class Tenant:
    """A tenant with one store, by the services that its requests would call."""

    def __init__(self, database: Database, artifacts: Artifacts, retriever: Retriever, name: str) -> None:
        self.id = f"ten_{name}"
        self.store = ""
        self.documents = DocumentService(database, artifacts, retriever, TenantStorage(database, {}, 0, 2**30), self.id)
        self.searches = SearchService(database, retriever, self.id)
        self._database = database
        self._artifacts = artifacts

    async def open(self) -> None:
        async with self._database.begin() as session:
            session.add(TenantRow(id=self.id, name=self.id, created_at=1))
            await session.flush()
            self.store = (await VectorStoreService(session, self.id).create(VectorStoreCreate())).id

    async def put(self, key: str, text: str, wait: float = 0) -> None:
        done = await self.documents.put(
            self.store, key, _send(text), attributes=None, length=None, bulk=False, wait=wait, presence=nullcontext()
        )
        assert done.status in ("completed", "in_progress"), done

    async def queue(self, number: int) -> None:
        """Put many documents, without a look at each: a bulk upload as far as its jobs go."""
        for first in range(0, number, _BATCH):
            numbers = range(first, min(first + _BATCH, number))
            contents = {n: await self._artifacts.put(_send(_write_text(f"{self.id}-{n}"))) for n in numbers}
            async with self._database.begin() as session:
                store = await StoreRepository(session, self.id).get(self.store)
                for n, stored in contents.items():
                    await put_version(session, store, f"{n}.md", Content(f"{n}.md", stored.digest, stored.size))

    async def ask(self, text: str) -> list[str]:
        page, _ = await self.searches.search(self.store, VectorStoreSearch(query=text, max_num_results=5))
        return [result.content[0].text for result in page.data]


def _write_text(name: str) -> str:
    return f"# {name}\n\n" + " ".join(f"{word} {name}" for word in _WORDS) + "."


async def _send(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def measure(
    home: Path,
    *,
    documents: int,
    rate: float,
    edits: int,
    embedder: str,
    others: int = _OTHERS,
    training: bool = False,
) -> Figures:
    """Measure in an empty folder.

    Args:
        home: The folder.
        documents: Those of the others, in all.
        rate: Questions per second, of which each is asked at its time or refused.
        edits: How many are timed.
        embedder: The retriever's, by its name in `EMBEDDERS`.
        others: Tenants with a store each.
        training: Train the packaged model, instead of only running a job that says so.
    """
    figures = Figures()
    settings = await _prepare(home, training=training)
    async with (
        _retriever(settings, embedder),
        open_worker(settings) as worker,
        open_database(settings.database) as database,
        Retriever(settings.retriever_socket) as retriever,
    ):
        artifacts = Artifacts(settings.artifacts)
        names = ("editor", *(f"other{n}" for n in range(others)))
        editor, *waiting = (Tenant(database, artifacts, retriever, name) for name in names)
        for tenant in (editor, *waiting):
            await tenant.open()
        working = asyncio.create_task(worker.run())
        for n in range(10):
            await editor.put(f"{n}.md", _write_text(f"fact{n}"), wait=120)
        job = await TrainingJob.start(settings, database)
        await until(job.count_steps, 300)
        for other in waiting:
            await other.queue(documents // others)
        before = await job.count_steps()
        async with _asking(editor, rate, figures):
            for n in range(edits):
                figures.edits.append(await _edit(editor, n))
        figures.steps = await job.count_steps() - before
        for other in waiting:
            figures.waiting += await _count_waiting(database, other)
        worker.stop()
        await working
    return figures


async def _prepare(home: Path, *, training: bool) -> Settings:
    """Put a base model and a database there, and return settings by which trainings are real, or only say so."""
    if training:
        settings = Settings(home=home, engine_urls=(_NO_ENGINE,), model_python=MODEL_PYTHON)
        ServedBaseModel.locate_file(home).parent.mkdir()
        await prepare_base_model(settings, "float32", lambda _: None)
    else:
        prepare_home(home)
        trainer = write_trainer(home / "python", "slow")
        settings = Settings(home=home, engine_urls=(_NO_ENGINE,), model_python=trainer)
    async with open_database(settings.database) as database:
        await migrate(database)
    return settings


async def _edit(editor: Tenant, n: int) -> float:
    """Save a document anew, and return the seconds until a search finds its new text."""
    started = time.perf_counter()
    await editor.put(f"{n % 10}.md", f"# Edited\n\nThe code of edit {n} is zebra{n}.", wait=60)
    for _ in range(600):
        try:
            texts = await editor.ask(f"code of edit zebra{n}")
        except Unavailable:
            await asyncio.sleep(0.1)  # as a client does that is told to come again
            continue
        assert any(f"zebra{n}." in text for text in texts)
        break
    return time.perf_counter() - started


@asynccontextmanager
async def _asking(editor: Tenant, rate: float, figures: Figures) -> AsyncGenerator[None]:
    """Ask all the time until the block is left; all questions have been answered then, or one has failed it."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ask(editor, rate, figures, group, over))
        try:
            yield
        finally:
            over.set()


async def _ask(editor: Tenant, rate: float, figures: Figures, group: asyncio.TaskGroup, over: asyncio.Event) -> None:
    async def ask(n: int) -> None:
        started = time.perf_counter()
        try:
            await editor.ask(f"What is the warranty of fact{n % 10}, and what does it cost?")
        except Unavailable:
            figures.refused += 1
        else:
            figures.questions.append(time.perf_counter() - started)

    started, n = time.perf_counter(), 0
    while not over.is_set():
        group.create_task(ask(n))
        n += 1
        await asyncio.sleep(max(started + n / rate - time.perf_counter(), 0))


async def _count_waiting(database: Database, tenant: Tenant) -> int:
    async with database.read() as session:
        store = await VectorStoreService(session, tenant.id).get(tenant.store)
    return store.file_counts.in_progress


@asynccontextmanager
async def _retriever(settings: Settings, embedder: str) -> AsyncGenerator[None]:
    arguments = ("--socket", str(settings.retriever_socket), "--data", str(settings.home / "index"))
    settings.retriever_socket.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(str(MODEL_PYTHON), "-m", EMBEDDERS[embedder], *arguments), cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}
    )
    try:
        await wait_for_retriever(settings.retriever_socket, process)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def describe(figures: Figures) -> str:
    """Write the figures as lines."""
    lines = [
        f"{figures.waiting} documents of others still waited; {figures.refused} questions were refused; "
        f"the training did {figures.steps} steps meanwhile"
    ]
    for name, values in (("edit until live", figures.edits), ("question", figures.questions)):
        if len(values) > 1:
            worst = statistics.quantiles(values, n=20)[18]
            lines.append(f"{name}: p50 {statistics.median(values):.2f} s, p95 {worst:.2f} s, n {len(values)}")
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.freshness")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--others", type=int, default=_OTHERS, help="tenants whose documents wait")
    parser.add_argument("--embedder", choices=["packaged", "words"], default="packaged")
    parser.add_argument("--training", action="store_true", help="train the packaged model beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        figures = await measure(
            Path(home),
            documents=options.documents,
            rate=options.rate,
            edits=options.edits,
            embedder=options.embedder,
            others=options.others,
            training=options.training,
        )
    sys.stdout.write(f"{describe(figures)}\n")


if __name__ == "__main__":
    asyncio.run(main())
