"""The parts of this machine that an engine can run on."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.processes import BARE

__all__ = ["Hardware", "choose_gpu_share"]

_ASK_GPUS = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_ASK_SECONDS = 15.0

_SHARED, _OWN = 0.45, 0.9
# Beside its weights an engine needs room for kernels, activations and some contexts, or it doesn't start.
_ENGINE_BYTES = 4 * 2**30
_WEIGHTS_FACTOR = 1.1


@dataclass(frozen=True, slots=True)
class Hardware:
    """`flags` are the processor's as in /proc/cpuinfo; `cores` numbers one logical CPU of each core we may use.

    `gpu_bytes` is the memory of each GPU that we may use; empty where there is none, or its driver doesn't say.
    """

    cuda: bool
    flags: frozenset[str]
    cores: tuple[int, ...]
    gpu_bytes: tuple[int, ...] = ()

    @classmethod
    def detect(cls, root: Path = Path("/")) -> Self:
        """Look at the devices, the processor and this process's own CPU mask."""
        lines = (root / "proc/cpuinfo").read_text().splitlines()
        flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
        cuda = any((root / "dev").glob("nvidia[0-9]*"))
        cores = _one_per_core(root, sorted(os.sched_getaffinity(0)))
        return cls(cuda, frozenset(flags.split()), cores, _measure_gpus(os.environ) if cuda else ())

    @property
    def computes_bfloat16(self) -> bool:
        """True if the processor multiplies bfloat16 itself, instead of turning each number into a float32 first."""
        return bool(self.flags & {"avx512_bf16", "amx_bf16"})


def choose_gpu_share(gpu_bytes: tuple[int, ...], weight_bytes: int, engine_gpus: int = 1) -> float:
    """Return the share of its GPUs' memory that the local engine gets where the operator hasn't said.

    On cards that it has to itself that is nearly all. On a card that it shares with training it gets 0.45: of 80 GiB
    that serves a 7B model with 20 GiB of contexts, and leaves the 37 GiB that training it takes at its fastest. A card
    too small for both serves: the engine gets what it needs, and training is refused with the numbers.
    """
    if not gpu_bytes:
        return _SHARED
    if len(gpu_bytes) > engine_gpus:
        return _OWN
    needed = (weight_bytes * _WEIGHTS_FACTOR / engine_gpus + _ENGINE_BYTES) / min(gpu_bytes)
    return round(min(_OWN, max(_SHARED, needed)), 2)


def _measure_gpus(environment: Mapping[str, str]) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            _ASK_GPUS,
            env=BARE.take(environment),
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    allowed = None if visible is None else [name.strip() for name in visible.split(",")]
    sizes: list[int] = []
    for line in answer.stdout.splitlines():
        index, uuid, mebibytes = (field.strip() for field in line.split(","))
        if mebibytes.isdigit() and (allowed is None or index in allowed or uuid in allowed):
            sizes.append(int(mebibytes) * 2**20)
    return tuple(sizes)


def _one_per_core(root: Path, allowed: list[int]) -> tuple[int, ...]:
    # Two threads on one core share its vector units: matrix products gain nothing from the second.
    first_of: dict[str, int] = {}
    for cpu in allowed:
        siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        first_of.setdefault(siblings.read_text().strip() if siblings.exists() else str(cpu), cpu)
    return tuple(first_of.values())
