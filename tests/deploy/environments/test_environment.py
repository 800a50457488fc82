import sys
from pathlib import Path

import pytest

from deploy.environments.environment import Environment, InstallFailed, digest_inputs, progress


def scripted(folder: Path, script: str) -> Environment:
    """Return an environment whose Python is a shell script."""
    environment = Environment(folder)
    environment.python.parent.mkdir(parents=True)
    environment.python.write_text(f"#!/bin/sh\n{script}\n")
    environment.python.chmod(0o755)
    return environment


def test_a_fingerprint_changes_with_every_input(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("1")
    two.write_text("2")
    first = digest_inputs([one, two])
    assert first == digest_inputs([two, one])
    assert first != digest_inputs([one, two], "cuda")
    two.write_text("3")
    assert first != digest_inputs([one, two])


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


def test_progress_goes_to_the_terminal_and_the_output_to_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = scripted(tmp_path / "venv", 'echo "Downloading x for $WHOM"')
    environment.run([str(environment.python)], "installing x", {"WHOM": "tests"})
    assert "Downloading x for tests" in (environment.folder / "install.log").read_text()
    told = capsys.readouterr().err
    assert "braid: venv: installing x: done in" in told
    assert "Downloading" not in told


def test_progress_is_the_last_line_but_for_warnings_and_the_end_of_what_goes_on() -> None:
    assert progress([]) == "starting"
    assert progress(["Downloading torch (180 MiB)\n", "WARNING: slow\n"]) == "Downloading torch (180 MiB)"
    assert progress(["Prepared 161 packages in 9s\n", "Installed 161 packages in 1.34s\n"]) == "compiling to bytecode"


def test_a_failure_is_told_with_its_end_and_its_log(tmp_path: Path) -> None:
    environment = scripted(tmp_path, "echo ERROR: the index is away\nexit 1")
    with pytest.raises(
        InstallFailed, match=r"installing x failed[\s\S]*the index is away[\s\S]*install\.log"
    ) as failed:
        environment.run([str(environment.python)], "installing x", {})
    assert failed.value.reason == "ERROR: the index is away"
    assert not failed.value.is_mismatch
    assert "the index is away" in (tmp_path / "install.log").read_text()


def test_a_new_environment_keeps_the_log_of_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = scripted(tmp_path / "venv", "echo said before")
    environment.run([str(environment.python)], "installing x", {})
    # Stands in for `python -m venv --clear`, which takes seconds.
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nrm -r {environment.folder} && mkdir {environment.folder}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    environment.create()
    assert "said before" in (environment.folder / "install.log").read_text()
