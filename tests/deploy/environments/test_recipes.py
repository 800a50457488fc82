"""What is installed, in which order and by what: the programs are shell scripts that write down their arguments."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.environments import recipes
from deploy.environments.environment import Environment, InstallFailed
from deploy.environments.hardware import Hardware, detect

ROOT = Path(__file__).resolve().parents[3]
CPU, CUDA = recipes.MODEL[Hardware.CPU], recipes.MODEL[Hardware.CUDA]
LISTS = ("uv.txt", "gateway.txt", "torch-cpu.txt", "model-cpu.txt", "model-cuda.txt")
Place = Callable[..., None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deploy/locks").mkdir(parents=True)
    for name in LISTS:
        (tmp_path / "deploy/locks" / name).touch()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


@pytest.fixture
def place(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Put uv and pip in place; each fails where the words of one of its failures are in its arguments."""

    def create(environment: Environment) -> None:
        with (root / "calls").open("a") as calls:
            calls.write("create\n")

    def fits(environment: Environment) -> bool:
        return True

    def write(name: str, failures: dict[str, str]) -> None:
        program = root / name
        program.parent.mkdir(parents=True, exist_ok=True)
        cases = "".join(f'*"{words}"*) echo "{output}"; exit 1 ;;\n' for words, output in failures.items())
        program.write_text(f'#!/bin/sh\necho "{program.name} $*" >> {root}/calls\ncase "$*" in\n{cases}*) ;; esac\n')
        program.chmod(0o755)

    def place(uv: dict[str, str] | None, pip: dict[str, str] | None = None) -> None:
        monkeypatch.setattr(Environment, "create", create)
        monkeypatch.setattr(Environment, "_fits", fits)
        write(".venv-model/bin/python", pip or {})
        if uv is not None:
            write(".venv/bin/uv", uv)

    return place


def calls(root: Path, program: str) -> list[str]:
    """Return the arguments of every installation by a program, without folders."""
    lines = [line.replace(f"{root}/", "") for line in (root / "calls").read_text().splitlines()]
    return [line for line in lines if line.startswith(program) and " install " in line]


def children_seconds() -> float:
    """Return the processor's time of the processes that this one has waited for; others' load adds little to it."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


MISSING = {"-r": "no version of torch==2.13.0+cpu"}


def test_uv_installs_wheels_by_digest_and_builds_nothing_but_braid(root: Path, place: Place) -> None:
    place(uv={})
    recipes.make(root, CPU)
    torch, packages, link = calls(root, "uv")
    assert torch.endswith("--no-deps --require-hashes --only-binary :all: -r deploy/locks/torch-cpu.txt")
    assert "--require-hashes --only-binary :all: --exact" in packages
    assert "-r deploy/locks/model-cpu.txt" in packages
    assert "-r deploy/locks/torch-cpu.txt" in packages, "--exact would remove it"
    assert link.endswith(f"--no-deps --no-build-isolation -e {root}")
    assert calls(root, "python") == []


def test_a_complete_environment_is_left_alone(root: Path, place: Place) -> None:
    place(uv={})
    recipes.make(root, CPU)
    before = (root / "calls").read_text()
    recipes.make(root, CPU)
    assert (root / "calls").read_text() == before
    (root / "deploy/locks/model-cpu.txt").write_text("new")
    recipes.make(root, CPU)
    assert (root / "calls").read_text() != before


def test_where_both_environments_stand_make_does_nothing_within_a_second(
    root: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "Makefile", root)
    shutil.copytree(ROOT / "deploy/environments", root / "deploy/environments", ignore=shutil.ignore_patterns("__pyc*"))
    monkeypatch.setattr(recipes, "__file__", str(root / "deploy/environments/recipes.py"))
    place(uv={})
    (root / ".venv/bin/python").symlink_to(root / ".venv-model/bin/python")
    for recipe in (recipes.GATEWAY, recipes.MODEL[detect()]):
        recipes.make(root, recipe)
    before = (root / "calls").read_text()
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    command = ["make", "--no-print-directory", "env", "env-model"]
    seconds_before = children_seconds()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert children_seconds() - seconds_before <= 1
    assert done.stdout + done.stderr == ""
    assert (root / "calls").read_text() == before


def test_pytorchs_index_is_asked_for_torch_alone_and_only_when_it_is_missing(root: Path, place: Place) -> None:
    place(uv={":all: -r": MISSING["-r"]})
    recipes.make(root, CPU)
    first, second, packages, _ = calls(root, "uv")
    assert "--index-url" not in first
    assert f"--index-url {recipes.TORCH_CPU_INDEX} -r deploy/locks/torch-cpu.txt" in second
    assert "--index-url" not in packages


def test_cuda_never_takes_the_cpu_index_nor_the_cpu_build(root: Path, place: Place) -> None:
    place(uv={})
    recipes.make(root, CUDA)
    packages, _ = calls(root, "uv")
    assert "model-cuda.txt" in packages
    assert "torch-cpu" not in packages


def test_without_uv_pip_does_it_all(root: Path, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place(uv=None, pip={"uv.txt": "ERROR: No matching distribution found for uv"})
    recipes.make(root, CPU)
    uv, torch, packages, link = calls(root, "python")
    assert "uv.txt" in uv
    assert "--require-hashes --only-binary :all: -r deploy/locks/torch-cpu.txt" in torch
    assert "--require-hashes --only-binary :all: -r deploy/locks/model-cpu.txt" in packages
    assert "--exact" not in packages
    assert "-e" in link
    assert "uv can't be had, so pip does it all (slower): ERROR: No matching" in capsys.readouterr().err


def test_where_uv_fails_pip_takes_over_in_a_new_environment(
    root: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place(uv={"": "error: no such system call"})
    recipes.make(root, CPU)
    lines = (root / "calls").read_text().splitlines()
    assert "install" in lines[lines.index("create") + 1]
    assert len(calls(root, "python")) == 3
    assert "uv failed, so pip does it (slower): error: no such system call" in capsys.readouterr().err


def test_a_changed_file_ends_it_at_once(root: Path, place: Place) -> None:
    place(uv={"--exact": "Hash mismatch for kettle"})
    with pytest.raises(InstallFailed, match="git checkout deploy/locks"):
        recipes.make(root, CPU)
    assert calls(root, "python") == []


def test_a_changed_uv_ends_it_too(root: Path, place: Place) -> None:
    place(uv=None, pip={"uv.txt": "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."})
    with pytest.raises(InstallFailed, match="isn't the one that was locked"):
        recipes.make(root, CPU)
    assert len(calls(root, "python")) == 1


def test_what_pip_cannot_do_either_is_an_error_and_leaves_no_stamp(root: Path, place: Place) -> None:
    place(uv={"": "away"}, pip={"install": "ERROR: No space left on device"})
    with pytest.raises(InstallFailed, match="No space left on device"):
        recipes.make(root, CPU)
    place(uv={})
    before = len(calls(root, "uv"))
    recipes.make(root, CPU)
    assert len(calls(root, "uv")) == before + 3


@pytest.mark.parametrize("recipe", [recipes.GATEWAY, CPU, CUDA], ids=lambda recipe: recipe.packages)
def test_nothing_is_built_but_the_link_to_the_sources(root: Path, place: Place, recipe: recipes.Recipe) -> None:
    place(uv={})
    (root / ".venv/bin/python").symlink_to(sys.executable)
    recipes.make(root, recipe)
    *packages, link = calls(root, "uv")
    assert packages
    assert all("--require-hashes --only-binary :all:" in call for call in packages)
    assert link.endswith(f"--no-deps --no-build-isolation -e {root}")
