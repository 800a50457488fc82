"""Which engine fits this machine."""

import shutil
import subprocess
from enum import StrEnum
from pathlib import Path

__all__ = ["Hardware", "detect"]


class Hardware(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


def detect(devices: Path = Path("/dev"), command: str = "nvidia-smi") -> Hardware:
    """Return CUDA when NVIDIA's driver answers or its devices are there (a container may lack the command)."""
    if any(devices.glob("nvidia[0-9]*")):
        return Hardware.CUDA
    program = shutil.which(command)
    if program and subprocess.run([program, "-L"], capture_output=True, check=False).returncode == 0:
        return Hardware.CUDA
    return Hardware.CPU
