import os
import sys
from pathlib import Path

import pytest

from gateway.demo.environment import describe_environment


def test_the_machine_and_the_packages_are_named() -> None:
    environment = describe_environment(Path(sys.executable))
    assert environment.cores == len(os.sched_getaffinity(0))
    assert environment.memory_gib > 0
    assert environment.processor
    assert {"braid", "python"} <= set(environment.versions)


def test_without_a_model_environment_its_packages_are_left_out(tmp_path: Path) -> None:
    assert set(describe_environment(tmp_path / "none").versions) == {"braid", "python"}


@pytest.mark.parametrize(("program", "gpu"), [("echo 'NVIDIA H100'", "NVIDIA H100"), (None, "")])
def test_a_gpu_is_named_where_there_is_one(
    program: str | None, gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if program is not None:
        file = tmp_path / "nvidia-smi"
        file.write_text(f"#!/bin/sh\n{program}\n")
        file.chmod(0o755)
    assert describe_environment(Path(sys.executable)).gpu == gpu
