"""The device of a computation, and the type of its numbers."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Hardware", "choose_reference_hardware", "choose_training_hardware"]

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Hardware:
    """A device, and the type that base weights have on it during training."""

    device: str
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_training_hardware() -> Hardware:
    """Return CUDA in bfloat16 where there is a device, or else the processor with all of its cores."""
    if torch.cuda.is_available():
        return Hardware("cuda", torch.bfloat16)
    # torch takes physical cores, of which a virtual machine may report half.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # The type that the engine serves in, where the processor has instructions for it: an adapter that was trained in
    # float32 answered worse when it was served in bfloat16. A step takes 0.7 times the time, too, though in its first
    # steps bfloat16 learns a little less (a loss of 1.78 after two updates, where float32 stood at 1.54).
    fast = _read_processor_flags() & {"amx_bf16", "avx512_bf16"}
    return Hardware("cpu", torch.bfloat16 if fast else torch.float32)


def choose_reference_hardware(parameters: int) -> Hardware:
    """Return float32, on the GPU where a model of that many parameters fits into its free memory."""
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 5 * parameters:
        return Hardware("cuda", torch.float32)
    return Hardware("cpu", torch.float32)


def _read_processor_flags() -> set[str]:
    for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
