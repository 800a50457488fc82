import asyncio

import pytest

from gateway import progress
from gateway.cli import measurement
from gateway.cli.measurement import await_measurement
from gateway.client import Client
from gateway.terminal import CommandError


class Rows(Client):
    """A client of a gateway that tells these states of a measurement, one after the other."""

    def __init__(self, *rows: dict[str, object]) -> None:
        super().__init__("http://127.0.0.1:1", "key")
        self._rows = list(rows)

    async def get(self, path: str, **_query: object) -> dict[str, object]:
        assert path == "/api/diagnoses/diag_1"
        return self._rows.pop(0)


def row(status: str, done: int, message: str = "") -> dict[str, object]:
    error = {"message": message} if message else None
    return {"id": "diag_1", "status": status, "done": done, "failures": 8, "error": error}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "_POLL_SECONDS", 0)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)


async def wait(*rows: dict[str, object]) -> dict[str, object]:
    first, *others = rows
    return await await_measurement(
        Rows(*others), "/api/diagnoses/diag_1", first, unit="failures", lack="There is no diagnosis", total="failures"
    )


async def test_one_that_waits_says_what_for_and_one_that_runs_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ended = await wait(row("queued", 0), row("running", 3), row("succeeded", 8))
    assert ended["status"] == "succeeded"
    first, second = (" ".join(line.split()) for line in capsys.readouterr().err.splitlines())
    assert first == "diag_1, failures: 0 of 8 (waits for a worker: what was asked for before it comes first)"
    assert second == "diag_1, failures: 3 of 8"


async def test_who_stops_waiting_is_told_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Stopped(Rows):
        async def get(self, path: str, **_query: object) -> dict[str, object]:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await await_measurement(Stopped(), "/api/gate", row("queued", 0), unit="x", lack="y", total="failures")
    told = capsys.readouterr().err.splitlines()[-1]
    assert (
        told
        == "diag_1 goes on at the gateway. GET /api/gate tells what becomes of it, and POST /api/gate/cancel ends it."
    )


async def test_one_that_failed_says_why() -> None:
    with pytest.raises(CommandError, match="There is no diagnosis: no engine answers"):
        await wait(row("running", 1), row("failed", 1, "no engine answers"))
    with pytest.raises(CommandError, match="There is no diagnosis: it is cancelled"):
        await wait(row("cancelled", 1))
