"""The machine that the demo ran on, and the versions that were installed there."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import msgspec

from gateway.processes import BARE
from gateway.stack.packages import EnvironmentBroken, read_installed_versions

__all__ = ["Environment", "describe_environment"]

_GIB = 1024**2  # /proc/meminfo counts KiB


class Environment(msgspec.Struct, frozen=True):
    """A machine and the packages on it; `gpu` is empty where there is none."""

    processor: str
    cores: int
    memory_gib: float
    gpu: str
    system: str
    versions: dict[str, str]


def describe_environment(model_python: Path) -> Environment:
    """Describe this machine and the packages of the interpreter `model_python`."""
    versions = {"braid": importlib.metadata.version("braid-gateway"), "python": platform.python_version()}
    try:
        versions |= read_installed_versions(model_python)
    except EnvironmentBroken:
        pass  # engines elsewhere need no model environment here
    memory = _rows("/proc/meminfo").get("MemTotal", "0").split()[0]
    return Environment(
        processor=_rows("/proc/cpuinfo").get("model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(int(memory) / _GIB, 1),
        gpu=_gpu(),
        system=platform.platform(),
        versions=versions,
    )


def _rows(file: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in Path(file).read_text().splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gpu() -> str:
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(command, env=BARE.take(os.environ), capture_output=True, text=True, check=False)
        return answer.stdout.strip()
    except FileNotFoundError:
        return ""
