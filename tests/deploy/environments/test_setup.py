"""The whole set-up, by `make` and the script that finds a Python."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "clang++", "cmake", "ninja")


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


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy what git tracks here, as it is now."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, tmp_path / "braid" / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return tmp_path / "braid"


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_gateways_environment_is_made_without_a_compiler(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "make", "find", "grep", "dirname", "nproc", "xargs"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "CC")}
    environment |= {"PATH": str(tools), "PYTHON": str(python)}
    assert not [tool for tool in COMPILERS if shutil.which(tool, path=str(tools))]

    def make() -> str:
        command = ["make", "env"]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "with uv: done" in make()
    braid = subprocess.run([checkout / ".venv/bin/braid", "--version"], capture_output=True, text=True, env=environment)
    assert braid.stdout.startswith("braid "), braid.stderr
    before = _count_seconds()
    assert make() == "", "the second time there is nothing to do"
    assert _count_seconds() - before < 1.0


def _count_seconds() -> float:
    """Return the processor time of the programs that ended: a busy machine takes longer, and not more of it."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
