"""The program as others start it: a process, its exit status, its lines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.training.model.conftest import Train
from training.events import Event, Failed, Finished, Step, decode_event
from training.manifest import Reference, digest_adapter, read_manifest
from training.verdict import BaseShape, judge

ROOT = Path(__file__).parents[3]


@contextmanager
def training(*arguments: str | Path) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def finish(*arguments: str | Path) -> tuple[int, list[bytes], str]:
    with training(*arguments) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out.splitlines(), err.decode()


def write_spec(path: Path, base_model: Path, rows: Path, **recipe: Any) -> Path:
    recipe = {"epochs": 2, "batch_size": 6, "learning_rate": 2e-2, "rank": 8} | recipe
    path.write_text(json.dumps({"base_model": str(base_model), "rows": {"path": str(rows)}, "recipe": recipe}))
    return path


def test_a_run_prints_its_events_and_leaves_an_adapter(base_model: Path, rows: Path, tmp_path: Path) -> None:
    status, lines, _ = finish("run", write_spec(tmp_path / "s", base_model, rows), "--out", tmp_path / "out")
    events = [decode_event(line) for line in lines]
    assert status == 0
    assert isinstance(events[-1], Finished)
    assert events[-1].manifest == read_manifest(tmp_path / "out")
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert judge(tmp_path / "out", BaseShape.read(base_model), max_rank=8).ok


def test_a_bad_spec_ends_with_status_2_and_a_reason(tmp_path: Path) -> None:
    (tmp_path / "s").write_text('{"recipe": {}}')
    status, lines, err = finish("run", tmp_path / "s", "--out", tmp_path / "out")
    failed = decode_event(lines[-1])
    assert status == 2
    assert isinstance(failed, Failed)
    assert failed.code == "invalid_spec"
    assert failed.message in err


def first_step(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(decode_event(line), Step):
            return
    raise AssertionError("it ended without a step")


def test_sigterm_ends_a_run_and_leaves_nothing(base_model: Path, rows: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "s", base_model, rows, epochs=100_000)
    with training("run", spec, "--out", tmp_path / "out") as process:
        first_step(process)
        assert (tmp_path / "out.partial").exists()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    events: list[Event] = [decode_event(line) for line in out.splitlines()]
    assert process.returncode == 1
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "cancelled"
    assert not list(tmp_path.glob("out*"))


def test_a_run_whose_reader_is_gone_ends(base_model: Path, rows: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "s", base_model, rows, epochs=100_000)
    with training("run", spec, "--out", tmp_path / "out") as process:
        first_step(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 1
    assert not list(tmp_path.glob("out*"))


def test_a_killed_run_leaves_nothing_that_looks_finished(
    base_model: Path, rows: Path, tmp_path: Path, train: Train
) -> None:
    spec = write_spec(tmp_path / "s", base_model, rows, epochs=100_000)
    with training("run", spec, "--out", tmp_path / "out") as process:
        first_step(process)
        process.kill()
    assert not (tmp_path / "out").exists()
    train("out")
    assert [entry.name for entry in tmp_path.glob("out*")] == ["out"]


def test_a_base_model_that_cannot_be_fetched_ends_with_a_reason(tmp_path: Path) -> None:
    status, lines, err = finish("base-model", "--out", tmp_path / "out", "--source", "acme/no-such-model")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "base_model_missing"
    assert "acme/no-such-model" in err
    assert not list(tmp_path.glob("out*"))


def test_references_are_written_for_an_adapter_from_elsewhere(base_model: Path, tmp_path: Path, train: Train) -> None:
    train("out")
    adapter, out = tmp_path / "out", tmp_path / "reference.json"
    status, lines, err = finish("reference", "--base", base_model, "--adapter", adapter, "--out", out)
    assert (status, lines) == (0, []), err
    reference = msgspec.json.decode(out.read_bytes(), type=Reference)
    assert reference.adapter_digest == digest_adapter(adapter)
    assert len(reference.probe) == 3
    for probe in reference.probe:
        assert len(probe.logprobs) == len(probe.base_logprobs) == len(probe.tokens) - probe.start
        assert probe.logprobs != pytest.approx(probe.base_logprobs, abs=0.01)
