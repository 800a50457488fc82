"""Writes down the versions that were tested: `make lock`, after a change of dependencies."""

import json
import os
import subprocess
from pathlib import Path

from deploy.environments.environment import Environment, SetupFailed
from deploy.environments.hardware import Hardware
from deploy.environments.model import RECIPES

__all__ = ["freeze", "write"]

_OURS = "braid-gateway"
_NOT_PINNED = {"pip", _OURS}
_HEADER = "# Versions that were tested together, for {}. Written by 'make lock'.\n"


def write(root: Path) -> None:
    """Write `requirements.lock` and both files of constraints.

    The lock and the CUDA constraints are resolved by uv (neither can be seen from an installation on a machine
    without CUDA); the CPU constraints are read from `.venv-model` as it stands here.
    """
    uv = root / ".venv" / "bin" / "uv"
    _compile(uv, root, "requirements.lock", "--universal", "--generate-hashes", "--extra", "gateway", "--extra", "dev")
    cuda = RECIPES[Hardware.CUDA]
    listed = ("--python-platform", "x86_64-manylinux_2_28", "--no-annotate", "--extra", "model")
    _compile(uv, root, cuda.constraints, *listed, requirements=cuda.engine)
    cpu = RECIPES[Hardware.CPU]
    python = Environment(root / ".venv-model").python
    text = _run([str(python), "-m", "pip", "list", "--format", "json"], root)
    (root / cpu.constraints).write_text(freeze(text, cpu.unwanted))


def freeze(listing: str, removed: dict[str, str]) -> str:
    """Turn `pip list --format json` into constraints.

    Args:
        listing: pip's JSON.
        removed: Packages that are installed and then removed, with versions: without a pin the resolver searches.
    """
    found: list[dict[str, str]] = json.loads(listing)
    versions = {package["name"].lower().replace("_", "-"): package["version"] for package in found}
    # "2.13.0+cpu" as a constraint would exclude the same release from an index that doesn't mark its builds.
    pins = {name: version.partition("+")[0] for name, version in (versions | removed).items()}
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items()) if name not in _NOT_PINNED]
    return _HEADER.format("CPU") + "".join(lines)


def _compile(uv: Path, root: Path, target: str, *options: str, requirements: tuple[str, ...] = ()) -> None:
    command = [str(uv), "pip", "compile", "--quiet", "--python-version", "3.11", "--no-emit-index-url", *options]
    extra = root / ".venv" / "engine.in"
    sources = ["pyproject.toml"]
    if requirements:
        extra.write_text("\n".join(requirements) + "\n")
        sources.append(str(extra))
    _run([*command, *sources, "-o", target], root)


def _run(command: list[str], root: Path) -> str:
    environment = os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(command)} failed:\n{done.stderr.strip()}\nRun 'make env env-model' first.")
    return done.stdout
