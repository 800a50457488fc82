"""An operator's way through a move of all documents, by commands."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.cli import docs_migrate
from gateway.db import open_database
from gateway.settings import Settings
from gateway.stack.second_retriever import read_second_retriever
from gateway.terminal import Exit
from gateway.vector_stores.index_migration_repository import note_problem
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]


@pytest.fixture
async def second(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.second_retriever_socket) as fake:
        fake.index = "other/words/2"
        yield fake


async def test_commands_move_an_index(
    gateway: Gateway, settings: Settings, index: FakeRetriever, second: FakeRetriever, tmp_path: Path
) -> None:
    address = ("--url", gateway.url, "--key", ADMIN_KEY)
    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        '{"question": "what is a", "document": "a.md"}\n{"question": "what is b", "document": "b.md"}\n'
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text(f"This is {name}.")
    assert await read_second_retriever(settings) is None
    async with working(settings):
        await run("docs", "add", "s", str(tmp_path / "a.md"), str(tmp_path / "b.md"), *address)
        none = await run("docs", "migrate", "swap", *address)
        assert (none.exit_code, "No documents move now" in none.stderr) == (Exit.NOT_FOUND, True)
        started = await run("docs", "migrate", "start", "--embedder", "another", *address)
        assert started.exit_code == Exit.OK, started.output
        other = await run("docs", "migrate", "start", "--embedder", "third", *address)
        assert (other.exit_code, "to another target" in other.stderr) == (Exit.CONFLICT, True)
        needs = await read_second_retriever(settings)
        assert needs is not None
        assert (needs[0].embedder, needs[1]) == ("another", False), "nobody waits for it yet"

        asked = ("--store", "s", "--questions", str(questions))
        evaluated = await run("docs", "migrate", "evaluate", *asked, *address)
        assert evaluated.exit_code == Exit.OK, evaluated.output
        assert evaluated.stdout.split() == [evaluated.stdout.split()[0], *("1.000",) * 4]
        own = await run("docs", "migrate", "evaluate", "--json", *address)
        assert own.exit_code == Exit.OK, own.output
        assert [(row["questions"], row["generated"]) for row in json.loads(own.stdout)] == [(2, True)]
        refused = await run("docs", "migrate", "swap", "--least", "0.5", *address)
        assert (refused.exit_code, "less than +0.500" in refused.stderr) == (Exit.CONFLICT, True)
        swapped = await run("docs", "migrate", "swap", *address)
        assert "set BRAID_EMBEDDER='another'" in swapped.stderr
        needs = await read_second_retriever(settings)
        assert needs is not None
        assert needs[1], "searches ask it"
        after = settings.model_copy(update={"embedder": "another"})
        assert await read_second_retriever(after) == (settings, False), (
            "restarted with the target, the source is second"
        )
        early = await run("docs", "migrate", "finish", *address)
        assert (early.exit_code, "restart Braid" in early.stderr) == (Exit.CONFLICT, True)
        assert (await run("docs", "migrate", "rollback", *address)).exit_code == Exit.OK
        assert (await run("docs", "migrate", "cancel", *address)).exit_code == Exit.OK
        async with asyncio.timeout(60):
            while True:
                rows = json.loads((await run("docs", "migrate", "status", "--json", *address)).stdout)
                if rows[0]["ended_at"] is not None:
                    break
                await asyncio.sleep(0.2)
    assert [(row["phase"], row["documents"]) for row in rows] == [("cancelled", 2)]
    assert await read_second_retriever(settings) is None
    assert second.points == []


@pytest.mark.parametrize(
    "command", [("migrate", "start", "--embedder", "nope"), ("move", "--to", "http://nobody.test")]
)
async def test_a_second_retriever_that_falls_for_good_ends_the_command_with_its_words_and_the_way_out(
    gateway: Gateway,
    settings: Settings,
    index: FakeRetriever,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docs_migrate, "_HOPELESS_SECONDS", 2.5)
    address = ("--url", gateway.url, "--key", ADMIN_KEY)
    starting = asyncio.create_task(run("docs", *command, *address))
    async with asyncio.timeout(60), open_database(settings.database) as database:
        while await read_second_retriever(settings) is None:  # noqa: ASYNC110 - a row, of which nothing tells
            await asyncio.sleep(0.05)
        async with database.begin() as session:
            await note_problem(session, "it exited with status 1; its last words:\nIt can't be loaded.")
        ended = await starting
    assert ended.exit_code == Exit.FAILED, ended.output
    assert ended.stderr.count("fell, and is started again") == 1
    assert "braid: The second retriever doesn't run: it exited with status 1" in ended.stderr
    assert "It can't be loaded.\nThe move stays open" in ended.stderr
    assert "'braid docs migrate cancel'" in ended.stderr
    assert (await run("docs", "migrate", "cancel", *address)).exit_code == Exit.OK


async def test_a_second_retriever_that_nobody_starts_is_not_waited_for_without_an_end(
    gateway: Gateway, settings: Settings, index: FakeRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs_migrate, "_MOST_SECONDS", 1.0)
    address = ("--url", gateway.url, "--key", ADMIN_KEY)
    ended = await run("docs", "migrate", "start", "--embedder", "another", *address)
    assert (ended.exit_code, "hasn't answered" in ended.stderr) == (Exit.UNREACHABLE, True), ended.output
    assert "'braid docs migrate cancel'" in ended.stderr
