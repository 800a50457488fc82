"""The second retriever of `braid up` is that of the move that goes on, also where one begins as another ends."""

import shutil
import time
from pathlib import Path
from typing import cast

import pytest

from gateway.db import open_database
from gateway.processes import Child
from gateway.settings import Settings
from gateway.stack import second_retriever
from gateway.stack.second_retriever import SecondRetriever
from gateway.vector_stores.tables import IndexMigrationRow


class Process:
    """A child that only notes what it was told; `log` is of all."""

    name = "second-retriever"

    def __init__(self, settings: Settings, log: list[str]) -> None:
        self._place = settings.embedder or settings.qdrant_url or "packaged"
        self._log = log

    async def start(self) -> None:
        self._log.append(f"start {self._place}")

    async def stop(self) -> None:
        self._log.append(f"stop {self._place}")


async def test_another_move_has_its_own_retriever(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    settings = Settings(home=tmp_path)
    shutil.copy(migrated, tmp_path / "braid.db")

    def make(needed: Settings, *, second: bool) -> Child:
        assert second
        return cast(Child, Process(needed, log))

    monkeypatch.setattr(second_retriever, "make_retriever", make)
    stack = SecondRetriever(settings, lambda _line: None)
    assert await stack.settle() is None
    async with open_database(settings.database) as database:
        for number, embedder in enumerate(("e5", "bge")):
            async with database.begin() as session:
                if number:
                    (await session.get_one(IndexMigrationRow, "im_0")).ended_at = int(time.time())
                places = {"source_embedder": "", "source_url": "", "target_embedder": embedder, "target_url": ""}
                more = {"source_index": "a/b/c", "phase": "copying", "evaluations": {}}
                session.add(IndexMigrationRow(id=f"im_{number}", created_at=number, **places, **more))
            assert await stack.settle() is None, "searches ask the first one"
            assert await stack.settle() is None
        async with database.begin() as session:
            (await session.get_one(IndexMigrationRow, "im_1")).phase = "swapped"
        assert await stack.settle() is not None, "now they ask this one"
        async with database.begin() as session:
            (await session.get_one(IndexMigrationRow, "im_1")).ended_at = int(time.time())
    assert await stack.settle() is None
    assert log == ["start e5", "stop e5", "start bge", "stop bge"]
