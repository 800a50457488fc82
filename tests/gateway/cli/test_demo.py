"""The command around the demo; the demo itself has tests of its own."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from gateway.cli import demo as command
from gateway.demo.report import Report
from gateway.demo.runner import locate_page, locate_report
from gateway.demo.size import DemoSize
from gateway.settings import Settings
from gateway.terminal import Exit
from tests.gateway.cli.commands import run
from tests.gateway.demo.reports import make_report


class Runs:
    """Stands in for the minutes that a demo takes: a report, and how it was asked for."""

    def __init__(self) -> None:
        self.report = make_report()
        self.calls: list[tuple[Settings, DemoSize, bool]] = []

    async def run_demo(self, settings: Settings, size: DemoSize, *, keep: bool) -> Report:
        self.calls.append((settings, size, keep))
        self.report.save(locate_report(settings.home))
        return self.report


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(command, "run_demo", runs.run_demo)
    return runs


async def test_a_demo_that_keeps_its_promises_succeeds(runs: Runs, tmp_path: Path) -> None:
    done = await run("demo", "--home", str(tmp_path))
    assert done.exit_code == Exit.OK
    assert str(locate_report(tmp_path / "demo")) in done.stderr
    assert str(locate_page(tmp_path / "demo")) in done.stderr
    assert "Every promise is kept." in done.stderr
    (settings, size, keep), *_ = runs.calls
    assert (settings.home, size.name, keep) == (tmp_path / "demo", "full", False)


async def test_a_home_that_can_not_be_written_is_said_before_anything_is_measured(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await run("demo", "--home", str(tmp_path / "file"))
    assert (done.exit_code, runs.calls) == (Exit.USAGE, [])
    assert f"The home folder {tmp_path / 'file' / 'demo'} can't be made" in done.stderr


async def test_a_broken_promise_is_said_and_fails(runs: Runs, tmp_path: Path) -> None:
    lost = msgspec.structs.replace(runs.report.swap, failed=["broke off"])
    runs.report = msgspec.structs.replace(runs.report, swap=lost)
    done = await run("demo", "--home", str(tmp_path))
    assert done.exit_code == Exit.FAILED
    assert "- swap: 1 of 66 requests failed: broke off" in done.stderr


async def test_size_and_keep_are_passed_on(runs: Runs, tmp_path: Path) -> None:
    await run("demo", "--home", str(tmp_path), "--size", "small", "--keep")
    (_, size, keep), *_ = runs.calls
    assert (size.name, keep) == ("small", True)


async def test_a_demo_that_was_told_to_stop_says_so(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancel(*_: object, **__: object) -> Report:
        raise asyncio.CancelledError

    monkeypatch.setattr(command, "run_demo", cancel)
    done = await run("demo")
    assert done.exit_code == Exit.FAILED
    assert "told to stop" in done.stderr


async def test_an_unknown_size_is_a_usage_error(runs: Runs, tmp_path: Path) -> None:
    done = await run("demo", "--home", str(tmp_path), "--size", "huge")
    assert done.exit_code == Exit.USAGE
    assert runs.calls == []


async def test_json_is_the_report(runs: Runs, tmp_path: Path) -> None:
    done = await run("demo", "--home", str(tmp_path), "--json")
    assert json.loads(done.stdout)["size"] == "full"
