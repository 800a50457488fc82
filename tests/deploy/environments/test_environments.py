import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.environments import model
from deploy.environments.environment import Environment, PipFailed, fingerprint
from deploy.environments.hardware import Hardware, detect
from deploy.environments.lock import freeze

ROOT = Path(__file__).resolve().parents[3]


def test_cuda_is_seen_by_its_device(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    assert detect(tmp_path, "no-such-command") is Hardware.CUDA


def test_cuda_is_seen_by_its_driver(tmp_path: Path) -> None:
    assert detect(tmp_path, "true") is Hardware.CUDA
    assert detect(tmp_path, "false") is Hardware.CPU


def test_the_control_device_alone_is_no_gpu(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert detect(tmp_path, "no-such-command") is Hardware.CPU


def test_constraints_drop_build_marks_and_keep_what_is_removed_later() -> None:
    listing = json.dumps(
        [
            {"name": "torch", "version": "2.13.0+cpu"},
            {"name": "Typing_Extensions", "version": "4.16.0"},
            {"name": "pip", "version": "26.0"},
            {"name": "braid-gateway", "version": "0.1.0"},
        ]
    )
    lines = freeze(listing, {"torchvision": "0.28.0"}).splitlines()
    assert lines[1:] == ["torch==2.13.0", "torchvision==0.28.0", "typing-extensions==4.16.0"]


def test_a_fingerprint_changes_with_every_input(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("1")
    two.write_text("2")
    first = fingerprint([one, two])
    assert first == fingerprint([two, one])
    assert first != fingerprint([one, two], "cuda")
    two.write_text("3")
    assert first != fingerprint([one, two])


def test_an_environment_is_complete_only_with_its_stamp(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    assert not environment.is_complete("x")
    environment.complete("x")
    assert environment.is_complete("x")
    assert not environment.is_complete("y")
    environment.prepare()  # an interrupted change must not look complete afterwards
    assert not environment.is_complete("x")


class _Recorded(Environment):
    """Stands in for pip: fails with the given texts in turn."""

    def __init__(self, folder: Path, *failures: str) -> None:
        super().__init__(folder)
        self.failures = list(failures)
        self.calls: list[tuple[str, ...]] = []

    def pip(self, *arguments: str, doing: str) -> None:
        self.calls.append(arguments)
        if self.failures:
            raise PipFailed(doing, self.failures.pop(0))


MISSING = "ERROR: No matching distribution found for torch==2.13.0+cpu"


def test_pytorchs_index_is_asked_only_when_its_wheel_is_missing(tmp_path: Path) -> None:
    environment = _Recorded(tmp_path, MISSING)
    model.install(environment, model.RECIPES[Hardware.CPU], tmp_path, tmp_path / "c.txt")
    assert "--extra-index-url" not in environment.calls[0]
    assert "--extra-index-url" in environment.calls[1]


def test_another_failure_is_not_hidden_by_a_second_try(tmp_path: Path) -> None:
    environment = _Recorded(tmp_path, "ERROR: Could not install packages due to an OSError: No space left on device")
    with pytest.raises(PipFailed):
        model.install(environment, model.RECIPES[Hardware.CPU], tmp_path, tmp_path / "c.txt")
    assert len(environment.calls) == 1


def test_cuda_never_takes_the_cpu_index(tmp_path: Path) -> None:
    environment = _Recorded(tmp_path, MISSING)
    with pytest.raises(PipFailed):
        model.install(environment, model.RECIPES[Hardware.CUDA], tmp_path, tmp_path / "c.txt")
    assert len(environment.calls) == 1


def test_pips_failure_is_told_with_its_end_and_its_log(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    environment.python.unlink()
    environment.python.write_text("#!/bin/sh\necho ERROR: the index is away\nexit 1\n")
    environment.python.chmod(0o755)
    with pytest.raises(PipFailed, match=r"the index is away[\s\S]*install\.log"):
        environment.pip("install", "x", doing="installing x")
    assert "the index is away" in (tmp_path / "install.log").read_text()


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        [ROOT / "deploy/environments/run.sh", "gateway"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.9.2" in done.stderr
    assert "make PYTHON=" in done.stderr


@pytest.mark.parametrize("name", ["requirements.lock", "constraints.model.txt", "constraints.model-cuda.txt"])
def test_locks_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "==" in text
    assert "://" not in text
    assert "index-url" not in text
