"""Room for a run: the device and the plan that fit, waited for a little, or the reasons why none does."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from training.errors import TrainingError
from training.events import Event, Notice
from training.hardware import Room, TrainingDevice, choose_training_hardware, list_rooms
from training.memory_plan import GIB, Demand, MemoryPlan

__all__ = ["Placement", "find_room"]

_POLL_SECONDS = 2.0
_USEFUL_TOKENS = 128  # shorter rows hold no question with its reply


@dataclass(frozen=True, slots=True)
class Placement:
    """The devices of a run, and the way to run on each.

    Attributes:
        room: Of the device with the least free memory.
        devices: One per process.
    """

    hardware: TrainingDevice
    plan: MemoryPlan
    room: Room
    devices: list[str]


def find_room(
    demand: Demand,
    send: Callable[[Event], None],
    *,
    device: str = "auto",
    wait_seconds: float = 0.0,
    processes: int | None = 1,
) -> Placement:
    """Return the allowed device with the most free memory, and the fastest way to run that fits there.

    Where a device is large enough and not free, its room is waited for: another training ends. What can't fit when all
    else has ended is refused at once.

    Args:
        demand: Of the run.
        send: Takes a notice when the waiting begins.
        device: See `training.hardware.list_rooms`.
        wait_seconds: The longest wait.
        processes: The most that train together, each on a device of its own, as far as others have room for what the
            first does too; None for all such devices. Where the processor trains they share it.

    Raises:
        TrainingError: `out_of_memory`, with the numbers and the settings that would help. `device_unavailable`.
    """
    end = time.monotonic() + wait_seconds
    is_waiting = False
    while True:
        rooms = list_rooms(device)
        room, largest = rooms[0], max(room.total for room in rooms)
        hardware = choose_training_hardware(room)
        item_bytes = hardware.dtype.itemsize
        if plan := demand.choose_plan(item_bytes, room.free):
            return _take_more(Placement(hardware, plan, room, [room.device]), rooms, demand, send, processes)
        least = demand.choose_smallest_plan(item_bytes)
        if least.forecast.total > largest or time.monotonic() >= end:
            length = demand.find_length(item_bytes, room.free)
            raise TrainingError("out_of_memory", _explain(least, room, largest, length))
        if not is_waiting:
            message = (
                f"Training waits up to {wait_seconds:.0f} s for memory on {room.device}: it needs "
                f"{least.forecast.total / GIB:.1f} GiB, and {room.free / GIB:.1f} GiB are free."
            )
            send(Notice(code="waiting_for_memory", message=message))
            is_waiting = True
        time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))


def _take_more(
    placement: Placement, rooms: list[Room], demand: Demand, send: Callable[[Event], None], processes: int | None
) -> Placement:
    """Add the devices on which others of the processes can do the same; a batch has a row for each."""
    forecast = placement.plan.forecast.total
    if placement.room.device == "cpu":
        fitting = (
            [placement.room] * (processes or 1)
            if forecast * (processes or 1) <= placement.room.free
            else [placement.room]
        )
    else:
        fitting = [room for room in rooms if forecast <= room.free]
    own_rooms = fitting[: min(len(fitting), processes or len(fitting), demand.recipe.batch_size)]
    if processes is not None and len(own_rooms) < min(processes, demand.recipe.batch_size):
        message = (
            f"{processes} processes may train together, and {len(own_rooms)} will: each takes {forecast / GIB:.1f} GiB "
            f"on a device of its own, or of the machine's memory; {', '.join(_describe(room) for room in rooms)}."
        )
        send(Notice(code="fewer_processes", message=message))
    return replace(placement, room=own_rooms[-1], devices=[room.device for room in own_rooms])


def _describe(room: Room) -> str:
    return f"{room.device} has {room.free / GIB:.1f} GiB free"


def _explain(least: MemoryPlan, room: Room, largest: int, length: int) -> str:
    """Say what a run needs, what there is, and what would help: the job's owner first, then the operator."""
    forecast = least.forecast
    texts = [
        f"Training needs at least {forecast.total / GIB:.1f} GiB on {room.device} ({forecast}), with one row at a time "
        f"and gradient checkpointing. Free are {room.free / GIB:.1f} of {room.total / GIB:.1f} GiB."
    ]
    if length >= _USEFUL_TOKENS:
        texts.append(f"Rows of up to {length} tokens would fit: ask for this in braid.recipe.max_length.")
    if forecast.total > largest:
        texts.append("The operator can name a larger device (BRAID_TRAINING_DEVICE) or serve a smaller base model.")
    elif room.device == "cpu":
        texts.append("The operator can end other programs, or have trainings wait (BRAID_TRAINING_WAIT_SECONDS).")
    else:
        texts.append(
            "The operator can give the engine a smaller share of the GPU (BRAID_ENGINE_GPU_SHARE), name another device "
            "(BRAID_TRAINING_DEVICE), or have trainings wait for each other (BRAID_TRAINING_WAIT_SECONDS)."
        )
    return " ".join(texts)
