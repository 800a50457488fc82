"""The program's ends that need no model: run in this process, its lines read from its standard output."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from training.__main__ import main
from training.events import Failed, decode_event
from training.output import JsonLines
from training.rendered_rows import RowsFile
from training.spec import Recipe, TrainSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def untouched_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program does to its own process isn't done to this one: its priority, and what it can import."""
    monkeypatch.setattr("training.__main__._NICE", 0)
    monkeypatch.setattr("training.__main__._leave_out", lambda *_: None)


@pytest.mark.parametrize("content", ["", "{", '{"recipe": {}}', '{"base_model": "b", "rows": "r", "recipe": {}}'])
def test_a_bad_spec_ends_with_status_2_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(content)
    monkeypatch.setattr(sys, "argv", ["training", "run", str(spec), "--out", str(tmp_path / "out")])
    assert main() == 2
    out, err = capfd.readouterr()
    failed = decode_event(out.encode())
    assert isinstance(failed, Failed)
    assert failed.code == "invalid_spec"
    assert failed.message in err


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions have no shares of the processor")
@pytest.mark.parametrize("alone", [True, False])
def test_a_trainer_gives_way_with_its_session_if_that_is_its_own(alone: bool) -> None:
    # It is empty in a session that was there before shares were, as a container's first.
    show = "os.nice(0), open('/proc/self/autogroup').read().split()[-1:]"
    program = f"import os; from training.__main__ import _give_way; print({show}); _give_way(); print({show})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=alone, capture_output=True, text=True, check=True
    )
    before, after = (line.split() for line in done.stdout.splitlines())
    assert int(after[0]) == int(before[0]) + 10
    assert after[1] == ("['5']" if alone else before[1])


def test_the_device_and_the_patience_reach_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TrainSpec(base_model="b", rows=RowsFile("r"), recipe=Recipe())
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    options: list[dict[str, object]] = []

    def record(*_: object, **named: object) -> None:
        options.append(named)

    monkeypatch.setattr("training.__main__._load", lambda *_: record)
    run = ["run", str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")]
    reference = ["reference", "--base", "b", "--adapter", "a", "--out", "o"]
    told = ["--device", "cuda:1", "--wait-seconds", "60", "--checkpoints", "c", "--processes", "auto"]
    for arguments in (run, [*run, *told], [*reference, "--device", "cpu"]):
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        assert main() == 0
    assert options == [
        {"device": "auto", "wait_seconds": 0.0, "processes": 1, "checkpoints": None, "engine_dtype": None},
        {"device": "cuda:1", "wait_seconds": 60.0, "processes": None, "checkpoints": Path("c"), "engine_dtype": None},
        {"device": "cpu", "engine_dtype": None},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "spec.json"],
        ["dance"],
        ["base-model", "--dtype", "int8"],
        ["run", "spec.json", "--out", "out", "--processes", "0"],
    ],
)
def test_arguments_that_are_not_understood_end_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "usage: python -m training" in capfd.readouterr().err


def test_a_failure_whose_reader_is_gone_is_still_told_to_people(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "run", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writing)
    assert result.returncode == 2
    assert "No such file" in result.stderr
    assert result.stderr.endswith("Nobody reads the events any more.\n")


def test_standard_output_is_for_events_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with JsonLines() as lines:
        os.write(1, b"a library says hello\n")
        lines.send(Failed(code="internal", message="Bad."))
    out, err = capfd.readouterr()
    assert decode_event(out.encode()) == Failed(code="internal", message="Bad.")
    assert err == "a library says hello\n"
