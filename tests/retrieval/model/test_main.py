"""The whole process: a real model, a real shard, a real socket, real signals."""

import asyncio
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrieval.client import DocumentUnreadable, InvalidFilter, InvalidVisibility, Retriever, RetrieverUnavailable
from retrieval.messages import IngestRequest, IngestResult, IngestProgress, SearchQuery
from tests.retrieval.model.conftest import Worker

pytestmark = pytest.mark.model


def manual(folder: Path, months: int, models: int = 3) -> Path:
    path = folder / f"manual-{months}-{models}.md"
    sections = (f"## Model {n}\n\nThe warranty of model {n} lasts {months + n} months.\n" for n in range(models))
    path.write_text("# Kestrel manual\n\n" + "\n".join(sections))
    return path


def version(path: Path, epoch: int, **changes: Any) -> Ingest:
    fields: dict[str, Any] = {
        "tenant": "kestrel",
        "store": "vs",
        "document": "manual",
        "key": "manual.md",
        "version": epoch,
        "file_id": "file",
        "filename": "manual.md",
        "path": str(path),
        "epoch": epoch,
    }
    return IngestRequest(**{**fields, **changes})


async def ask(retriever: Retriever, epoch: int, text: str = "What is the warranty of model 1?") -> list[str]:
    found = await retriever.search(SearchQuery(tenant="kestrel", stores={"vs": epoch}, text=text, limit=50))
    return [passage.text for passage in found]


async def test_documents_in_passages_out(worker: Worker, tmp_path: Path) -> None:
    assert stat.S_IMODE(worker.socket.stat().st_mode) == 0o600
    async with Retriever(worker.socket) as retriever:
        info = await retriever.ready()
        assert (info.dimensions, info.points) == (384, 0)
        steps: list[IngestProgress] = []
        done = await retriever.ingest(version(manual(tmp_path, 30), 1), steps.append)
        assert (done.chunks, done.embedded) == (3, 3)
        assert [step.stage for step in steps] == ["parsed", "chunked", "embedded", "written"]
        assert "31 months" in (await ask(retriever, 1))[0]

        with pytest.raises(DocumentUnreadable, match="is empty"):
            await retriever.ingest(version(Path("/dev/null"), 2))
        with pytest.raises(InvalidFilter):
            await retriever.search(SearchQuery(tenant="kestrel", stores={"vs": 1}, text="x", filters={"type": "?"}))
        with pytest.raises(InvalidVisibility):
            await retriever.search(SearchQuery(tenant="", stores={"vs": 1}, text="x"))

        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "retrieval", "--socket", str(worker.socket), "--data", str(tmp_path / "d2")],
            capture_output=True,
        )
        assert second.returncode == 1
        assert b"Another retriever answers" in second.stderr

        # Questions are answered during an ingest, which stops when its caller goes.
        ingest, begun = long_ingest(retriever, tmp_path, 2)
        await begun.wait()
        for _ in range(5):
            assert len(await ask(retriever, 1)) == 3
        assert not ingest.done()
        ingest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ingest
        # Waits for its turn behind the ingest, which would take a minute more if it had gone on.
        async with asyncio.timeout(15):
            await retriever.rollback("kestrel", "vs", 1)
        assert (await retriever.ready()).points == 3

        # A stop doesn't wait for an ingest either.
        ingest, begun = long_ingest(retriever, tmp_path, 2)
        await begun.wait()
        assert await asyncio.to_thread(worker.stop, signal.SIGTERM) == 0
        with pytest.raises(RetrieverUnavailable):
            await ingest
    assert not worker.socket.exists()
    assert "Traceback" not in worker.log.read_text()


def long_ingest(retriever: Retriever, folder: Path, epoch: int) -> tuple[asyncio.Task[IngestResult], asyncio.Event]:
    begun = asyncio.Event()

    def note(step: IngestProgress) -> None:
        if step.stage == "embedded":
            begun.set()

    return asyncio.create_task(retriever.ingest(version(manual(folder, 50, models=2000), epoch), note)), begun


async def test_killed_in_the_middle_of_an_ingest(worker: Worker, tmp_path: Path) -> None:
    async with Retriever(worker.socket) as retriever:
        await retriever.ingest(version(manual(tmp_path, 30), 1))
        before = await ask(retriever, 1)

        def kill_once_written(step: IngestProgress) -> None:
            if step.stage == "written":
                worker.stop(signal.SIGKILL)

        with pytest.raises(RetrieverUnavailable):
            await retriever.ingest(version(manual(tmp_path, 50, models=150), 2), kill_once_written)
        with pytest.raises(RetrieverUnavailable):
            await retriever.ready()

        await worker.start()
        assert (await retriever.ready()).points == 3 + 64
        assert await ask(retriever, 1) == before
        await retriever.rollback("kestrel", "vs", 1)
        assert (await retriever.ready()).points == 3
        done = await retriever.ingest(version(manual(tmp_path, 50), 2))
        assert done.embedded == 3
        assert await ask(retriever, 1) == before
        assert "51 months" in (await ask(retriever, 2))[0]
        await retriever.collect("kestrel", "vs", 2)
        assert (await retriever.ready()).points == 3
