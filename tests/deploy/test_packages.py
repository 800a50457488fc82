"""What is built for others to install: a wheel with all that the packages read, and a source from which lint runs."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.architecture.source import PACKAGES, ROOT


def build(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.iterdir()
    return file


def test_a_wheel_has_what_the_packages_read_beside_their_code(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
    read = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert read <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"gateway/web/static/index.html", "gateway/evaluation/report.css", "gateway/demo/page.html.jinja"} <= names
    assert sum(name.endswith(".jinja") for name in names) == len(list((ROOT / "gateway").rglob("*.jinja"))) > 5
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)


def test_a_source_has_what_its_own_checks_read(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {".ci/run", "Makefile", "pyproject.toml", ".editorconfig", ".pre-commit-config.yaml"} <= names
    assert {path.name for path in ROOT.glob("pyright.*.json")} <= names
    assert len(list(ROOT.glob("pyright.*.json"))) == 2
