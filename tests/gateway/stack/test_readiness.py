"""Waiting for real child processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.processes import Child, Command
from gateway.stack import readiness
from gateway.stack.readiness import wait_until_ready, watch
from gateway.terminal import CommandError
from tests.waiting import until


class Door:
    """Tells whether a child is ready, as the test wants it."""

    def __init__(self) -> None:
        self.open = False

    async def ready(self) -> bool:
        return self.open


@pytest.fixture
def door() -> Door:
    return Door()


def child(folder: Path, door: Door, script: str = "sleep 60", name: str = "engine") -> Child:
    command = Command(["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin"})
    return Child(name, command, folder, door.ready, grace=1, poll=0.02)


async def test_each_child_that_is_ready_is_told(tmp_path: Path, door: Door) -> None:
    door.open = True
    told: list[str] = []
    async with child(tmp_path, door) as engine, child(tmp_path, door, name="worker") as worker:
        await wait_until_ready([engine, worker], told.append)
    assert sorted(line.split(":")[0] for line in told) == ["engine", "worker"]
    assert all("ready after" in line for line in told)


async def test_children_that_take_long_are_named_now_and_then(
    tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_HEARTBEAT_SECONDS", 0.1)
    told: list[str] = []
    async with child(tmp_path, door) as engine:
        waiting = asyncio.create_task(wait_until_ready([engine], told.append))
        await until(lambda: len(told) >= 2)
        door.open = True
        await waiting
    assert told[0].endswith("waiting for engine")
    assert told[-1].startswith("engine: ready after")


async def test_a_child_that_ends_again_and_again_is_hopeless(tmp_path: Path, door: Door) -> None:
    async with child(tmp_path, door, "echo no such model; exit 3") as engine:
        with pytest.raises(CommandError, match="The engine doesn't start") as caught:
            await wait_until_ready([engine], lambda line: None)
    assert str(engine.log_path) in str(caught.value)


@pytest.fixture
async def told(tmp_path: Path, door: Door) -> AsyncIterator[list[str]]:
    """What `watch` tells of a child that was ready and is killed, also where that was before it looked."""
    door.open = True
    told: list[str] = []
    async with child(tmp_path, door, "sleep 0.4") as engine:
        await wait_until_ready([engine], lambda line: None)
        await until(lambda: engine.state.phase == "restarting")
        watching = asyncio.create_task(watch([engine], told.append))
        yield told
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def test_falls_and_recoveries_are_told(told: list[str]) -> None:
    await until(lambda: len(told) >= 2)
    assert told[0].startswith("engine: fell:")
    assert "engine.log" in told[0], "where more about it stands"
    assert told[1] == "engine: ready again"
