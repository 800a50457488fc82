"""The device of a computation, the type of its numbers, and the memory that is free on it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from training.errors import TrainingError

__all__ = [
    "Room",
    "TrainingDevice",
    "check_reference_hardware",
    "choose_reference_hardware",
    "choose_training_hardware",
    "list_rooms",
]

_ROOT = Path("/")
_REFERENCE_BYTES = 5  # per parameter: float32 weights, and room for the activations of one row
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """A device, and the type that base weights have on it during training."""

    device: str
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


@dataclass(frozen=True, slots=True)
class Room:
    """A device's memory in bytes: what a new process can have of it, and all of it."""

    device: str
    free: int
    total: int


def list_rooms(device: str = "auto") -> list[Room]:
    """Return the devices that a setting allows, the one with the most free memory first.

    Args:
        device: `auto` (every CUDA device, or else the processor), `cpu`, `cuda` for any CUDA device, or `cuda:1`.

    Raises:
        TrainingError: `device_unavailable`.
    """
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise _unavailable(device, "it is none of auto, cpu, cuda and cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not count):
        return [_measure_machine(_ROOT)]
    if not count:
        raise _unavailable(device, "torch sees no CUDA device here")
    numbers = range(count) if match[1] is None else [int(match[1][1:])]
    if numbers[-1] >= count:
        raise _unavailable(device, f"torch sees {count} CUDA devices here, cuda:0 to cuda:{count - 1}")
    # What earlier work of this process has freed is kept by torch, and counts as taken.
    torch.cuda.empty_cache()
    rooms = [Room(f"cuda:{number}", *torch.cuda.mem_get_info(number)) for number in numbers]
    return sorted(rooms, key=lambda room: room.free, reverse=True)


def choose_training_hardware(room: Room) -> TrainingDevice:
    """Return bfloat16 on CUDA, and on the processor what it is faster in, with all of its cores."""
    if room.device != "cpu":
        return TrainingDevice(room.device, torch.bfloat16)
    # torch takes physical cores, of which a virtual machine may report half.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # bfloat16 is fast by tiles alone. Its other instructions want their operands rearranged first: without tiles the
    # packaged model's steps took 7 to 8 ms of the processor per token in float32, and 10 to 11 in bfloat16. The demo's
    # answers, by an engine in bfloat16, score the same after either.
    fast = "amx_bf16" in _read_processor_flags(_ROOT)
    return TrainingDevice("cpu", torch.bfloat16 if fast else torch.float32)


def choose_reference_hardware(parameters: int, device: str = "auto") -> TrainingDevice:
    """Return float32 on the allowed device with the most free memory, or on the processor where the model has no room.

    Raises:
        TrainingError: `out_of_memory`, with the numbers: it fits nowhere. `device_unavailable`, see `list_rooms`.
    """
    bytes_needed = _REFERENCE_BYTES * parameters
    rooms = list_rooms(device)
    if rooms[0].device != "cpu":
        rooms = [rooms[0], _measure_machine(_ROOT)]
    for room in rooms:
        if room.free > bytes_needed:
            return TrainingDevice(room.device, torch.float32)
    there = " and ".join(f"{room.free / 2**30:.1f} GiB on {room.device}" for room in rooms)
    raise TrainingError(
        "out_of_memory",
        f"The proof of an adapter is computed in float32 and takes {bytes_needed / 2**30:.1f} GiB; free are {there}. "
        "The operator can give the engine less (BRAID_ENGINE_GPU_SHARE), name another device "
        "(BRAID_TRAINING_DEVICE), or end other programs.",
    )


def check_reference_hardware(parameters: int, device: str = "auto") -> None:
    """Refuse a model whose proof won't fit anywhere, however much is free then: before hours of training.

    Raises:
        TrainingError: `out_of_memory`, with the numbers. `device_unavailable`, see `list_rooms`.
    """
    bytes_needed = _REFERENCE_BYTES * parameters
    largest = max([*list_rooms(device), _measure_machine(_ROOT)], key=lambda room: room.total)
    if largest.total <= bytes_needed:
        raise TrainingError(
            "out_of_memory",
            f"The proof of an adapter is computed in float32 and takes {bytes_needed / 2**30:.1f} GiB, also where "
            f"training takes less; {largest.device} has the most, {largest.total / 2**30:.1f} GiB in all. The operator "
            "can name a larger device (BRAID_TRAINING_DEVICE), use a machine with more memory, or serve a smaller base "
            "model.",
        )


def _unavailable(device: str, reason: str) -> TrainingError:
    message = f"The device {device!r} can't be used: {reason}. The operator can correct BRAID_TRAINING_DEVICE."
    return TrainingError("device_unavailable", message)


def _measure_machine(root: Path) -> Room:
    """Return the machine's memory, or its control group's where that has less: a container's limit."""
    lines = (root / "proc/meminfo").read_text(encoding="utf-8").splitlines()
    fields = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    free, total = fields["MemAvailable"], fields["MemTotal"]
    group = root / "sys/fs/cgroup"
    limit = group / "memory.max"
    if limit.exists() and (text := limit.read_text(encoding="ascii").strip()) != "max":
        used_bytes = int((group / "memory.current").read_text(encoding="ascii"))
        # Files that were read are counted as used, and make room as soon as somebody needs it.
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        free = min(free, max(0, int(text) - used_bytes + int(stat.get("inactive_file", 0))))
        total = min(total, int(text))
    return Room("cpu", free, total)


def _read_processor_flags(root: Path) -> set[str]:
    for line in (root / "proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
