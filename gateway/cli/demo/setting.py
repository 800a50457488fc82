"""Where the demo ran: hardware and versions, for its report."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import msgspec

from gateway.cli.packages import EnvironmentBroken, installed_versions

__all__ = ["Setting", "describe_setting"]

_GIB = 1024**2  # /proc/meminfo counts KiB


class Setting(msgspec.Struct, frozen=True):
    """A machine and what is installed on it; `gpu` is empty where there is none."""

    processor: str
    cores: int
    memory_gib: float
    gpu: str
    system: str
    versions: dict[str, str]


def describe_setting(model_python: Path) -> Setting:
    versions = {"braid": importlib.metadata.version("braid-gateway"), "python": platform.python_version()}
    try:
        versions |= installed_versions(model_python)
    except EnvironmentBroken:
        pass  # engines elsewhere need no model environment here
    memory = _rows("/proc/meminfo").get("MemTotal", "0").split()[0]
    return Setting(
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
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
