import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from gateway.processes import Child, Command
from tests.gateway.processes.family import family, is_ready, naughty
from tests.waiting import until


async def test_starts_is_ready_and_stops_without_a_trace(tmp_path: Path) -> None:
    child = Child("tree", naughty(tmp_path, "--workers", "2"), tmp_path, is_ready(tmp_path), grace=0.3)
    assert child.state.phase == "stopped"
    async with child:
        await until(lambda: child.state.phase == "ready")
        assert child.state.phase == "ready"
        assert child.state.pid == int((tmp_path / "ready").read_text())
        await until(lambda: len(family(tmp_path)) == 5)
    assert child.state.phase == "stopped"
    assert family(tmp_path) == []
    assert not (tmp_path / "tree.session").exists()


async def test_one_that_ends_in_time_is_not_killed(tmp_path: Path) -> None:
    code = "import signal,sys,time; signal.signal(15, lambda *_: (print('goodbye', flush=True), sys.exit(0))); "
    code += "print('hello', flush=True); time.sleep(600)"
    command = Command([sys.executable, "-c", code], dict(os.environ))
    child = Child("polite", command, tmp_path, lambda: has_said(child.log_path, "hello"), grace=20)
    async with child:
        await until(lambda: child.state.phase == "ready")
    assert child.log_path.read_text() == "hello\ngoodbye\n"


async def has_said(log: Path, words: str) -> bool:
    return log.exists() and words in log.read_text()


@pytest.mark.parametrize("deaf", [[], ["--deaf"]])
async def test_a_killed_leader_takes_everything_with_it_and_comes_back(tmp_path: Path, deaf: list[str]) -> None:
    command = naughty(tmp_path, "--workers", "1", *deaf)
    async with Child("tree", command, tmp_path, is_ready(tmp_path), grace=0.3) as child:
        await until(lambda: child.state.phase == "ready")
        await until(lambda: len(family(tmp_path)) == 2)
        before = set(family(tmp_path))
        (tmp_path / "ready").unlink()
        os.kill(child.state.pid or 0, signal.SIGKILL)
        await until(lambda: child.state.phase == "restarting")
        assert "SIGKILL" in child.state.reason
        assert not before & set(family(tmp_path))
        await until(lambda: child.state.phase == "ready")
        assert child.state.reason == ""
        await until(lambda: len(family(tmp_path)) == 2)
    assert family(tmp_path) == []


async def test_one_that_a_full_disk_ends_says_so(tmp_path: Path) -> None:
    """As the embedded index is, whose files are mapped into memory."""
    file = tmp_path / "mapped"
    code = f"import mmap; f = open({str(file)!r}, 'wb+'); f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); "
    code += "f.truncate(0); m[5000] = 1"
    command = Command([sys.executable, "-c", code], dict(os.environ))
    async with Child("index", command, tmp_path, is_ready(tmp_path), grace=0.3) as child:
        await until(lambda: child.state.phase == "restarting")
        assert "SIGBUS" in child.state.reason
        assert "disk" in child.state.reason


async def test_what_a_killed_supervisor_left_is_swept_by_the_next(tmp_path: Path) -> None:
    arguments = (sys.executable, "-m", "tests.gateway.processes.supervisor", str(tmp_path))
    supervisor = await asyncio.create_subprocess_exec(*arguments)
    await until((tmp_path / "tree.session").exists)
    await until(lambda: len(family(tmp_path)) == 5)
    leader = int((tmp_path / "tree.session").read_text().split()[0])
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: leader not in family(tmp_path))
    orphans = set(family(tmp_path))
    assert len(orphans) == 4, "the kernel ends the leader only"
    (tmp_path / "ready").unlink()
    async with Child("tree", naughty(tmp_path), tmp_path, is_ready(tmp_path), grace=0.3) as child:
        await until(lambda: child.state.phase == "ready")
        assert not orphans & set(family(tmp_path))


async def test_a_session_file_of_another_boot_or_process_kills_no_process(tmp_path: Path) -> None:
    bystander = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(600)", start_new_session=True
    )
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (tmp_path / "tree.session").write_text(f"{bystander.pid} 1 {boot}\n")
        async with Child("tree", naughty(tmp_path), tmp_path, is_ready(tmp_path)) as child:
            await until(lambda: child.state.phase == "ready")
            (tmp_path / "tree.session").write_text(f"{bystander.pid} 1 another-boot\n")
        assert bystander.returncode is None
        os.kill(bystander.pid, 0)
    finally:
        bystander.kill()
        await bystander.wait()
        for pid in family(tmp_path):
            os.kill(pid, signal.SIGKILL)


async def test_one_that_cannot_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    command = naughty(tmp_path, "--exit", "3", "--words", "no such model: nobody/nothing")
    async with Child("tree", command, tmp_path, is_ready(tmp_path)) as child:
        await until(lambda: child.state.attempts >= 2)
        assert "status 3" in child.state.reason
        assert "no such model: nobody/nothing" in child.state.reason


async def test_only_the_last_start_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "tree.log").write_text("words of an earlier run\n")
    command = naughty(tmp_path, "--exit", "3")
    async with Child("tree", command, tmp_path, is_ready(tmp_path)) as child:
        await until(lambda: child.state.phase == "restarting")
        assert "earlier run" not in child.state.reason


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    command = Command(["/nowhere/engine"], dict(os.environ))
    async with Child("ghost", command, tmp_path, is_ready(tmp_path)) as child:
        await until(lambda: child.state.phase == "restarting")
        assert "/nowhere/engine" in child.state.reason


async def test_one_that_never_gets_ready_is_ended_and_tried_again(tmp_path: Path) -> None:
    async def never() -> bool:
        raise ConnectionRefusedError

    async with Child("tree", naughty(tmp_path), tmp_path, never, start_timeout=0.6, grace=0.2) as child:
        await until(lambda: child.state.phase == "restarting")
        assert "wasn't ready after 0.6 s" in child.state.reason
        await until(lambda: child.state.attempts == 2)


async def test_pauses_start_over_after_a_healthy_while(tmp_path: Path) -> None:
    child = Child("tree", naughty(tmp_path), tmp_path, is_ready(tmp_path), healthy_after=0.0)
    async with child:
        for _ in range(3):
            await until(lambda: child.state.phase == "ready")
            os.kill(child.state.pid or 0, signal.SIGKILL)
            await until(lambda: child.state.phase == "restarting")
            assert child.state.attempts == 1


async def test_a_large_log_is_moved_aside_at_a_start(tmp_path: Path) -> None:
    (tmp_path / "tree.log").write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    async with Child("tree", naughty(tmp_path, "--words", "fresh"), tmp_path, is_ready(tmp_path)) as child:
        await until(lambda: child.state.phase == "ready")
        assert child.log_path.read_text() == "fresh\n"
        assert (tmp_path / "tree.log.1").stat().st_size > 10 * 1024 * 1024


async def test_stopping_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    for pause in (0.0, 0.01, 0.05, 0.2):
        child = Child(
            "tree", naughty(tmp_path, "--workers", "1"), tmp_path, lambda: has_said(tmp_path / "no", ""), grace=0.2
        )
        await child.start()
        await asyncio.sleep(pause)
        await child.stop()
        assert family(tmp_path) == []


async def test_a_log_is_rotated_while_its_child_writes(tmp_path: Path) -> None:
    code = "import time\nfor n in range(10**9): print(f'line {n:06d}', flush=True); time.sleep(0.002)"
    command = Command([sys.executable, "-c", code], dict(os.environ))
    child = Child(
        "wordy", command, tmp_path, lambda: has_said(child.log_path, "line"), grace=0.3, log_bytes=2000, rotation=0.02
    )
    old = tmp_path / "wordy.log.1"
    async with child:
        await until(lambda: child.state.phase == "ready")
        pid = child.state.pid
        await until(old.exists)
        first = old.read_text().splitlines()[0]
        await until(lambda: old.read_text().splitlines()[0] != first, 20)  # and again
        await until(lambda: "line" in child.log_path.read_text())
        assert child.state.pid == pid
        assert child.log_path.stat().st_size < 100_000
        assert "\0" not in child.log_path.read_text()


async def test_the_last_words_are_found_in_a_log_that_was_emptied_since(tmp_path: Path) -> None:
    log = tmp_path / "brief.log"
    log.write_text("x" * 5000)
    code = (
        "import os, time; os.truncate(__import__('sys').argv[1], 0); print('goodbye', flush=True); raise SystemExit(3)"
    )
    command = Command([sys.executable, "-c", code, str(log)], dict(os.environ))

    async def never() -> bool:
        return False

    async with Child("brief", command, tmp_path, never, grace=0.3) as child:
        await until(lambda: child.state.phase == "restarting")
        assert "goodbye" in child.state.reason
