"""The program as others start it: a process, its exit status, its lines.

Importing torch takes seconds, so ends that don't depend on the process are tested in this one.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.training.model.conftest import Train
from tests.training.model.hub import Cut, open_hub
from training.__main__ import main
from training.events import Event, Failed, Finished, Step, decode_event
from training.manifest import Reference, digest_adapter, read_manifest
from training.verdict import BaseShape, judge

ROOT = Path(__file__).parents[3]


@contextmanager
def training(*arguments: str | Path, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def finish(*arguments: str | Path, **environment: str) -> tuple[int, list[bytes], str]:
    with training(*arguments, **environment) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out.splitlines(), err.decode()


Call = Callable[..., tuple[int, list[bytes], str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the program in this process."""

    def start(*arguments: str | Path) -> tuple[int, list[bytes], str]:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
        # What the program leaves out, other tests in this process use.
        monkeypatch.setattr("training.__main__._leave_out", lambda *_: None)
        monkeypatch.setattr("training.__main__._NICE", 0)
        status = main()
        out, err = capfd.readouterr()
        return status, out.encode().splitlines(), err

    return start


def write_spec(path: Path, base_model: Path, rows: Path, **recipe: Any) -> Path:
    recipe = {"epochs": 2, "batch_size": 6, "learning_rate": 2e-2, "rank": 8} | recipe
    path.write_text(json.dumps({"base_model": str(base_model), "rows": {"path": str(rows)}, "recipe": recipe}))
    return path


def test_a_run_prints_its_events_and_leaves_an_adapter(base_model: Path, rows: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "s", base_model, rows)
    status, lines, err = finish("run", spec, "--out", tmp_path / "out", PYTHONPROFILEIMPORTTIME="1")
    events = [decode_event(line) for line in lines]
    assert status == 0
    parts = set(re.findall(r"\| +(\w+)\.", err))
    assert "peft" in parts
    assert not parts & {"bitsandbytes", "scipy", "sklearn"}
    assert isinstance(events[-1], Finished)
    assert events[-1].manifest == read_manifest(tmp_path / "out")
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert judge(tmp_path / "out", BaseShape.read(base_model), max_rank=8).ok


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
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
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


@pytest.fixture
def small_disk() -> Generator[None]:
    """Keep files below the adapter's 60 kB, as if the disk ended there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_ends_a_run_with_a_reason_and_leaves_nothing(
    call: Call, base_model: Path, rows: Path, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path / "s", base_model, rows, epochs=1)
    status, lines, err = call("run", spec, "--out", tmp_path / "out")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "output_unwritable", err
    assert "Make room" in failed.message
    assert not list(tmp_path.glob("out*"))


def test_a_missing_base_model_ends_a_run_with_a_reason(call: Call, rows: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "s", tmp_path / "none", rows)
    status, lines, err = call("run", spec, "--out", tmp_path / "out")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "base_model_unusable"
    assert failed.message in err
    assert not list(tmp_path.glob("out*"))


def remove_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "tokenizer_config.json").unlink()


def damage_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").write_text("{}")


def damage_weights(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def change_architecture(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": "acme"}))


def change_shape(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))


@pytest.mark.parametrize(
    "spoil", [remove_tokenizer, damage_tokenizer, damage_weights, change_architecture, change_shape]
)
def test_a_bad_checkpoint_ends_a_run_with_a_reason(
    call: Call, base_model: Path, rows: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(base_model, checkpoint)
    spoil(checkpoint)
    status, lines, _ = call("run", write_spec(tmp_path / "s", checkpoint, rows), "--out", tmp_path / "out")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == ("unsupported_base_model" if spoil is change_shape else "base_model_unusable")
    assert str(checkpoint) in failed.message
    assert not list(tmp_path.glob("out*"))


def test_other_rows_than_the_spec_promises_end_a_run(call: Call, base_model: Path, rows: Path, tmp_path: Path) -> None:
    spec = {"base_model": str(base_model), "rows": {"path": str(rows), "digest": "0" * 64}, "recipe": {}}
    (tmp_path / "s").write_text(json.dumps(spec))
    status, lines, _ = call("run", tmp_path / "s", "--out", tmp_path / "out")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "rows_changed"


def test_an_unexpected_error_ends_with_its_trace_for_people(call: Call, base_model: Path, tmp_path: Path) -> None:
    arguments = ("--base", base_model, "--adapter", tmp_path / "not-judged", "--out", tmp_path / "reference.json")
    status, lines, err = call("reference", *arguments)
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "internal"
    assert "Traceback" in err
    assert list(tmp_path.iterdir()) == []


def test_a_base_model_that_is_there_is_named(call: Call, base_model: Path, tmp_path: Path) -> None:
    status, lines, _ = call("base-model", "--out", tmp_path / "out", "--source", base_model)
    assert status == 0
    assert json.loads(lines[-1]) == {"directory": str(base_model)}


def test_a_base_model_comes_from_a_hub_without_pickles_and_code(base_model: Path, tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in base_model.iterdir()}
    weights = files["model.safetensors"]
    extra = {"pytorch_model.bin": b"a pickle", "modeling.py": b"print('hello')"}
    extra |= {"consolidated.safetensors": weights, "params.json": b"{}", "original/model.safetensors": weights}
    out = tmp_path / "out"
    with open_hub("acme/tiny", {**files, **extra}) as url:
        environment = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf")}
        status, lines, err = finish("base-model", "--out", out, "--source", "acme/tiny", **environment)
    assert status == 0, err
    assert json.loads(lines[-1]) == {"directory": str(out)}
    assert {file.name: file.read_bytes() for file in out.iterdir()} == files


BIG = 24 << 20
"""Beyond the pieces of 10 MiB that the hub's client reads."""


def fetch(url: str, out: Path, home: Path) -> tuple[int, list[bytes], str]:
    environment = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url, "HF_HOME": str(home)}
    return finish("base-model", "--out", out, "--source", "acme/tiny", **environment)


def test_a_download_that_was_cut_goes_on_where_it_was(base_model: Path, tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in base_model.iterdir()} | {"notes.txt": bytes(BIG)}
    small = sum(map(len, files.values())) - BIG
    out, cut = tmp_path / "out", Cut(small + (22 << 20))
    with open_hub("acme/tiny", files, cut) as url:
        status, lines, err = fetch(url, out, tmp_path / "hf")
        assert status == 1
        failed = decode_event(lines[-1])
        assert isinstance(failed, Failed)
        assert failed.code == "base_model_missing"
        assert "goes on there" in failed.message
        assert not out.exists()
        first = dict(cut.sent)
        cut.limit = None
        status, lines, err = fetch(url, out, tmp_path / "hf")
    assert status == 0, err
    assert {file.name: file.read_bytes() for file in out.iterdir()} == files
    second = {name: cut.sent[name] - first.get(name, 0) for name in cut.sent}
    assert {name: size for name, size in second.items() if size} == {"notes.txt": BIG - (20 << 20)}, "nothing twice"
    progress = [line for line in map(json.loads, lines) if line.get("event") == "progress"]
    assert progress[0]["bytes"] >= 20 << 20
    assert {line["total"] for line in progress} == {small + BIG}


def test_a_download_that_is_interrupted_is_kept(base_model: Path, tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in base_model.iterdir()} | {"notes.txt": bytes(BIG)}
    small, out = sum(map(len, files.values())) - BIG, tmp_path / "out"
    cut = Cut(small + (22 << 20), hangs=True)
    with open_hub("acme/tiny", files, cut) as url:
        environment = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf")}
        with training("base-model", "--out", out, "--source", "acme/tiny", **environment) as process:
            assert process.stdout is not None
            while json.loads(process.stdout.readline())["bytes"] < small + (20 << 20):
                pass
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            assert process.returncode == 1
        assert sum(file.stat().st_size for file in tmp_path.glob("out.partial/**/*") if file.is_file()) > 20 << 20
        cut.limit = None
        cut.mended.set()
        before = cut.sent["notes.txt"]
        assert fetch(url, out, tmp_path / "hf")[0] == 0
    assert cut.sent["notes.txt"] - before <= BIG - (20 << 20)
    assert [entry.name for entry in tmp_path.glob("out*")] == ["out"]


def test_a_base_model_that_cannot_be_fetched_ends_with_a_reason(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    status, lines, err = call("base-model", "--out", tmp_path / "out", "--source", "acme/no-such-model")
    failed = decode_event(lines[-1])
    assert status == 1
    assert isinstance(failed, Failed)
    assert failed.code == "base_model_missing"
    assert "acme/no-such-model" in err
    assert not list(tmp_path.glob("out*"))


def test_references_are_written_for_an_adapter_from_elsewhere(
    call: Call, base_model: Path, tmp_path: Path, train: Train
) -> None:
    train("out")
    adapter, out = tmp_path / "out", tmp_path / "reference.json"
    status, lines, err = call("reference", "--base", base_model, "--adapter", adapter, "--out", out)
    assert (status, lines) == (0, []), err
    reference = msgspec.json.decode(out.read_bytes(), type=Reference)
    assert reference.adapter_digest == digest_adapter(adapter)
    assert len(reference.probe) == 4
    assert len(reference.probe[-1].tokens) > 300, "one is as long as a prompt with passages"
    for probe in reference.probe:
        assert len(probe.logprobs) == len(probe.base_logprobs) == len(probe.tokens) - probe.start
        assert probe.logprobs != pytest.approx(probe.base_logprobs, abs=0.01)
