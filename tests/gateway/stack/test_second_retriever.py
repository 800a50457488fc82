"""The second retriever of `braid up` is that of the move that goes on, also where one begins as another ends."""

import shutil
import time
from pathlib import Path
from typing import cast

import pytest

from gateway.db import open_database
from gateway.processes import Child, ChildState
from gateway.settings import Settings
from gateway.stack import second_retriever
from gateway.stack.second_retriever import SecondRetriever
from gateway.vector_stores.tables import IndexMigrationRow


class Process:
    """A child that only notes what it was told; `log` is of all."""

    name = "second-retriever"
    log_path = Path("logs/second-retriever.log")

    def __init__(self, settings: Settings, log: list[str]) -> None:
        self._place = settings.embedder or settings.qdrant_url or "packaged"
        self._log = log
        self.state = ChildState("starting")

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


async def test_a_fall_is_told_once_with_its_log_and_noted_in_the_move_until_it_is_ready(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    shutil.copy(migrated, tmp_path / "braid.db")
    process = Process(settings, [])
    monkeypatch.setattr(second_retriever, "make_retriever", lambda _settings, *, second: process)
    told: list[str] = []
    stack = SecondRetriever(settings, told.append)
    async with open_database(settings.database) as database:

        async def read_problem() -> str | None:
            async with database.read() as session:
                return (await session.get_one(IndexMigrationRow, "im_0")).problem

        async with database.begin() as session:
            places = {"source_embedder": "", "source_url": "", "target_embedder": "e5", "target_url": ""}
            more = {"source_index": "a/b/c", "phase": "copying", "evaluations": {}, "problem": "of another start"}
            session.add(IndexMigrationRow(id="im_0", created_at=0, **places, **more))
        await stack.settle()
        assert await read_problem() is None
        told.clear()
        for state in (ChildState("restarting", "no such embedder", 1), ChildState("starting", "no such embedder", 2)):
            process.state = state
            await stack.tell_fall()
            assert await read_problem() == "no such embedder"
        assert told == ["second-retriever: fell: no such embedder\nIts log is logs/second-retriever.log."]
        process.state = ChildState("ready")
        await stack.tell_fall()
        assert await read_problem() is None
    assert told[1:] == ["second-retriever: ready again"]
