"""The parts of this machine that an engine can run on."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Hardware"]


@dataclass(frozen=True)
class Hardware:
    """`flags` are the processor's as in /proc/cpuinfo; `cores` numbers one logical CPU of each core we may use."""

    cuda: bool
    flags: frozenset[str]
    cores: tuple[int, ...]

    @classmethod
    def detect(cls, root: Path = Path("/")) -> Self:
        """Look at the devices, the processor and this process's own CPU mask."""
        lines = (root / "proc/cpuinfo").read_text().splitlines()
        flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
        cuda = any((root / "dev").glob("nvidia[0-9]*"))
        return cls(cuda, frozenset(flags.split()), _one_per_core(root, sorted(os.sched_getaffinity(0))))

    @property
    def computes_bfloat16(self) -> bool:
        """True if the processor multiplies bfloat16 itself, instead of turning each number into a float32 first."""
        return bool(self.flags & {"avx512_bf16", "amx_bf16"})


def _one_per_core(root: Path, allowed: list[int]) -> tuple[int, ...]:
    # Two threads on one core share its vector units: matrix products gain nothing from the second.
    first_of: dict[str, int] = {}
    for cpu in allowed:
        siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        first_of.setdefault(siblings.read_text().strip() if siblings.exists() else str(cpu), cpu)
    return tuple(first_of.values())
