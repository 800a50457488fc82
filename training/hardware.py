"""What a run computes on."""

import os
from pathlib import Path

import msgspec
import torch


class Hardware(msgspec.Struct, frozen=True):
    """A device, and the type that base weights have on it while training."""

    device: str
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def training_hardware() -> Hardware:
    """CUDA in bfloat16 where there is one, or else the processor, all of its cores."""
    if torch.cuda.is_available():
        return Hardware("cuda", torch.bfloat16)
    # torch takes physical cores, of which a virtual machine may report half.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # AVX-512's bfloat16 takes 0.7 times the time of float32, but learns less in a step: the same rows stood at
    # a loss of 1.78 after two updates, and at 1.54 in float32. Only AMX, several times faster, is worth that.
    return Hardware("cpu", torch.bfloat16 if "amx_bf16" in _processor_flags() else torch.float32)


def reference_hardware(parameters: int) -> Hardware:
    """Float32, on the GPU where a model of that many parameters fits into its free memory."""
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 5 * parameters:
        return Hardware("cuda", torch.float32)
    return Hardware("cpu", torch.float32)


def _processor_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
