import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from retrieval.errors import DocumentUnreadable, RetrieverFailed
from retrieval.parsers import ForkedChildren, ParseLimits, parse
from tests.waiting import until

pytestmark = pytest.mark.model

SLOW = "a line\n" * 4_000_000
"""Takes seconds of processor time."""

PATIENT = ParseLimits(characters=10**9)


@pytest.fixture
async def children() -> AsyncIterator[ForkedChildren]:
    children = ForkedChildren()
    yield children
    await children.close()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def list_children() -> list[psutil.Process]:
    """List the parsers that run now; their parent is this process's child."""
    return [child for server in psutil.Process().children() for child in server.children()]


async def start_slow(children: ForkedChildren, folder: Path) -> "asyncio.Task[object]":
    task = asyncio.create_task(parse(write(folder / "slow", SLOW), "slow.md", PATIENT, start=children.start))
    await until(list_children)
    return task


async def test_documents_are_parsed_in_children_of_one_process(children: ForkedChildren, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}", f"# Title {n}\n\nText {n}.\n") for n in range(20)]
    parsed = await asyncio.gather(*(parse(path, "a\0.md", start=children.start) for path in paths))
    assert [(one.title, one.text) for one in parsed] == [
        (f"Title {n}", f"# Title {n}\n\nText {n}.\n") for n in range(20)
    ]
    assert len(psutil.Process().children()) == 1


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ParseLimits(characters=1000), "5000000 characters of text; the limit is 1000"),
        (ParseLimits(memory=60 * 1024**2), "memory"),
        (ParseLimits(wall_seconds=0.001), r"longer than 0\.001 s"),
    ],
    ids=["characters", "memory", "wall"],
)
async def test_a_document_over_a_limit_costs_only_itself(
    children: ForkedChildren, tmp_path: Path, limits: ParseLimits, says: str
) -> None:
    path = write(tmp_path / "big", "# big\n" * 100 + "word " * 999_880)
    with pytest.raises(DocumentUnreadable, match=says):
        await parse(path, "big.md", limits, start=children.start)
    after = await parse(write(tmp_path / "small", "# After"), "small.md", start=children.start)
    assert after.title == "After"


async def test_a_child_has_no_descriptors_and_no_group_of_others(children: ForkedChildren, tmp_path: Path) -> None:
    task = await start_slow(children, tmp_path)
    (child,) = list_children()
    descriptors = Path(f"/proc/{child.pid}/fd")
    # It can be seen from its fork on, a moment before it has closed what it inherited.
    await until(lambda: sorted(path.name for path in descriptors.iterdir()) == ["0", "1", "2"])
    assert os.getpgid(child.pid) == child.pid
    # Linux may share the processor out among sessions: a thousand documents would have a thousand shares of it.
    assert os.getsid(child.pid) == child.ppid() != os.getsid(0)
    assert set(child.environ()) == {"PYTHONPATH", "LANG"}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not child.is_running())


async def test_a_child_that_is_killed_from_outside_refuses_the_document(
    children: ForkedChildren, tmp_path: Path
) -> None:
    task = await start_slow(children, tmp_path)
    list_children()[0].kill()
    with pytest.raises(DocumentUnreadable, match="the machine ran out of memory"):
        await task


async def test_the_process_that_forks_is_started_again(children: ForkedChildren, tmp_path: Path) -> None:
    task = await start_slow(children, tmp_path)
    (child,) = list_children()
    (server,) = psutil.Process().children()
    server.kill()
    child.kill()
    with pytest.raises(RetrieverFailed, match="Try again"):
        await task
    assert (await parse(write(tmp_path / "a", "# A"), "a.md", start=children.start)).title == "A"
