"""Programs that work for one job."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from gateway.processes import BARE, open_program
from tests.waiting import until

ROOT = Path(__file__).parents[3]
ENVIRONMENT = BARE.take(os.environ)


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_program_gives_its_lines_output_and_status(tmp_path: Path) -> None:
    source = "import sys; print('one'); print('x' * 200_000); print('end'); sys.stderr.write('why'); sys.exit(3)"
    async with open_program(python(source), ENVIRONMENT, errors=tmp_path / "log") as program:
        assert await program.read_line() == b"one\n"
        assert len(await program.read_line()) == 200_001
        assert await program.read_output(2) == b"en"
        assert await program.read_line() == b""
        assert await program.wait() == 3
    assert (tmp_path / "log").read_bytes() == b"why"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    async with open_program(("/nowhere/python",), ENVIRONMENT, errors=tmp_path / "log") as program:
        assert await program.read_output(100) == b""
        assert await program.wait() != 0
    assert b"FileNotFoundError" in (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("deaf", [False, True])
async def test_leaving_ends_it_and_what_it_started(tmp_path: Path, deaf: bool) -> None:
    source = (
        "import signal, subprocess, sys, time\n"
        f"if {deaf}: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(other.pid, flush=True)\n"
        "while True: print('x' * 10_000, flush=True)"
    )
    async with open_program(python(source), ENVIRONMENT, errors=tmp_path / "log") as program:
        other = int(await program.read_line())
        assert not gone(program.pid)
        assert not gone(other)
    await until(lambda: gone(program.pid) and gone(other))


async def test_a_cancelled_task_ends_it(tmp_path: Path) -> None:
    pids: list[int] = []

    async def work() -> None:
        async with open_program(
            python("import time; time.sleep(600)"), ENVIRONMENT, errors=tmp_path / "log"
        ) as program:
            pids.append(program.pid)
            await program.read_line()

    task = asyncio.create_task(work())
    await until(lambda: pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(pids[0])


async def test_it_ends_with_a_killed_parent(tmp_path: Path) -> None:
    source = (
        "import asyncio, pathlib, sys\n"
        "from gateway.processes import open_program\n"
        "async def main():\n"
        "    command = (sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(600)')\n"
        f"    async with open_program(command, {{}}, errors=pathlib.Path({str(tmp_path / 'log')!r})) as program:\n"
        "        await program.read_line()\n"
        "        print(program.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(*python(source), stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: gone(child))


async def test_it_gets_the_environment_that_is_said_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "secret")
    command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    async with open_program(command, {"NUMBER": "1", "LC_ALL": "C"}, errors=tmp_path / "errors.txt") as program:
        assert await program.read_line() == b"['LC_ALL', 'NUMBER']\n"
