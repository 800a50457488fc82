"""The ways in which a trainer ends, and whether another try may help."""

from pathlib import Path

import msgspec
import pytest

from gateway.adapters.trainer import TrainerDied, TrainerRun
from gateway.jobs import JobFailed
from training.events import Event, Failed


class Talk:
    """An execution that is over: what it said, and its status."""

    def __init__(self, events: list[Event], status: int) -> None:
        self._lines = [msgspec.json.encode(event) + b"\n" for event in events]
        self._status = status

    async def read_line(self) -> bytes:
        return self._lines.pop(0) if self._lines else b""

    def pause(self) -> None:
        raise AssertionError("nobody pauses it")

    async def wait(self) -> int:
        return self._status


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("process_killed", 1, TrainerDied, "Process 2 of the 2"),
        ("cancelled", 1, TrainerDied, "perhaps the machine's memory ran out"),
        (None, -9, TrainerDied, "was ended by signal 9"),
        (None, -11, JobFailed, "another try wouldn't change"),
        ("internal", 1, JobFailed, "another try wouldn't change. Process 2 of the 2"),
        ("quantization_unavailable", 1, JobFailed, "Process 2 of the 2"),
    ],
)
async def test_an_end_from_outside_is_worth_another_try(
    tmp_path: Path, code: str | None, status: int, kind: type[Exception], words: str
) -> None:
    events: list[Event] = [] if code is None else [Failed(code=code, message="Process 2 of the 2 was ended.")]
    with pytest.raises(kind, match=words):
        await TrainerRun(Talk(events, status), tmp_path / "log").check()
