import asyncio
import os
import shlex
from pathlib import Path
from typing import Any

import psutil
import pytest

from retrieval.client import INGEST_SILENCE_SECONDS
from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.parsers import ParseLimits, parse, process
from tests.waiting import until

pytestmark = pytest.mark.model


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the interpreter of the child by a shell script, for faults that no document causes reliably."""
    path = write(tmp_path / "child", "#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(process.sys, "executable", str(path))
    return path


async def test_a_document_is_parsed_in_a_child(tmp_path: Path) -> None:
    parsed = await parse(write(tmp_path / "upload", "# Kestrel K2\n\n31 months\n"), "k2.md")
    assert (parsed.media_type, parsed.title, parsed.text) == (
        "text/markdown",
        "Kestrel K2",
        "# Kestrel K2\n\n31 months\n",
    )


def test_a_busy_machine_has_time_and_a_caller_waits_for_it() -> None:
    limits = ParseLimits()
    assert 2 * limits.cpu_seconds < limits.wall_seconds < INGEST_SILENCE_SECONDS - 20


async def test_a_refusal_comes_back_with_its_code(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="is empty") as caught:
        await parse(write(tmp_path / "upload", ""), "k2.md")
    assert caught.value.code == "empty_file"


async def test_a_file_name_is_only_data(tmp_path: Path) -> None:
    parsed = await parse(write(tmp_path / "upload", "words"), "--help; $(x)\0\n.txt")
    assert parsed.text == "words"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ParseLimits(input_bytes=1000), "larger than 1000 bytes"),
        (ParseLimits(characters=1000), "5000000 characters of text; the limit is 1000"),
        (ParseLimits(memory=60 * 1024**2), "memory"),
        (ParseLimits(wall_seconds=0.001), r"longer than 0\.001 s"),
    ],
    ids=["bytes", "characters", "memory", "wall"],
)
async def test_a_document_over_a_limit_is_refused(tmp_path: Path, limits: ParseLimits, says: str) -> None:
    path = write(tmp_path / "upload", "# big\n" * 100 + "word " * 999_880)
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        await parse(path, "big.md", limits)
    assert caught.value.code == "invalid_file"


async def test_a_document_that_needs_too_much_processor_time_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "upload", "a line\n" * 4_000_000)
    with pytest.raises(DocumentUnreadable, match="more than 1 s of processor time") as caught:
        await parse(path, "slow.md", ParseLimits(cpu_seconds=1, characters=10**9))
    assert caught.value.code == "invalid_file"


async def test_a_child_that_hangs_beyond_its_own_alarm_is_killed(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0)
    write(script, "#!/bin/sh\nsleep 600\n")
    with pytest.raises(DocumentUnreadable, match=r"longer than 0\.05 s"):
        await parse(write(tmp_path / "upload", "words"), "a", ParseLimits(wall_seconds=0.05))


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("kill -KILL $$", "the machine ran out of memory"),
        ("kill -SEGV $$", "status -11.*damaged"),
        ("exit 3", r"status 3.*more than 1024 MiB of memory"),
        ("echo nonsense", r"status 0.*damaged"),
        ("true", r"status 0.*damaged"),
    ],
)
async def test_a_child_that_ends_without_an_outcome_refuses_the_document(
    tmp_path: Path, script: Path, caplog: pytest.LogCaptureFixture, end: str, says: str
) -> None:
    write(script, f"#!/bin/sh\necho why it ended >&2\n{end}\n")
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        await parse(write(tmp_path / "upload", "words"), "a")
    assert caught.value.code == "invalid_file"
    assert "why it ended" in caplog.text


@pytest.mark.parametrize("started", [True, False])
async def test_a_child_and_its_own_children_do_not_outlive_a_caller_that_is_cancelled(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    start, cancelled = asyncio.create_subprocess_exec, asyncio.Event()

    async def start_slowly(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        child = await start(*arguments, **options)
        await cancelled.wait()
        return child

    if not started:
        monkeypatch.setattr(process.asyncio, "create_subprocess_exec", start_slowly)
    pids = tmp_path / "pids"
    write(script, f"#!/bin/sh\nsleep 600 &\necho $! $$ > {shlex.quote(str(pids))}.new\nmv {pids}.new {pids}\nwait\n")
    task = asyncio.create_task(parse(write(tmp_path / "upload", "words"), "a"))
    await until(pids.exists)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, cancelled.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    children = [int(pid) for pid in pids.read_text().split()]
    await until(lambda: not any(is_running(pid) for pid in children))


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_child_sees_nothing_of_the_environment(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(os.environ, "BRAID_SECRET", "not for parsers")
    write(script, "#!/bin/sh\nenv >&2\nexit 1\n")
    with pytest.raises(DocumentUnreadable):
        await parse(write(tmp_path / "upload", "words"), "a")
    assert "LANG=C.UTF-8" in caplog.text
    assert "not for parsers" not in caplog.text


async def test_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(RetrieverFailed, match="can't be opened"):
        await parse(tmp_path / "none", "a.md")
