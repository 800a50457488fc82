"""Waiting for memory, and the reasons where there is none, on devices that are made up."""

from collections.abc import Callable, Iterator

import pytest

from training.errors import TrainingError
from training.events import Event, Notice
from training.hardware import Room
from training.memory_plan import GIB, Demand, Load
from training.model_size import ModelSize
from training.room import find_room
from training.spec import Recipe

SIZE = ModelSize(
    parameters=7_000_000_000,
    layers=28,
    hidden=3584,
    vocabulary=152_064,
    inputs=40_000,
    outputs=50_000,
    widest=18_944,
    adapter_linears=7,
    adapter_width=2_500_000,
)
DEMAND = Demand(SIZE, Recipe(), lambda tokens: Load(max(tokens, 700), max(tokens, 700) // 3))

Rooms = Callable[..., None]


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Say what is free on a card of 80 GiB, in GiB, one number per look; the clock runs as often as it is looked at."""

    def set_free(*free: float, total: float = 80) -> None:
        looks: Iterator[float] = iter(free)
        last = [free[-1]]
        clock = iter(range(0, 10_000, 2))
        monkeypatch.setattr("training.room.time.monotonic", lambda: float(next(clock)))
        monkeypatch.setattr("training.room.time.sleep", lambda _: None)

        def look(device: str) -> list[Room]:
            assert device == "auto"
            return [Room("cuda:1", int(next(looks, last[0]) * GIB), int(total * GIB)), Room("cuda:0", GIB, GIB)]

        monkeypatch.setattr("training.room.list_rooms", look)

    return set_free


def test_a_run_starts_at_once_where_it_fits(rooms: Rooms) -> None:
    rooms(60)
    events: list[Event] = []
    berth = find_room(DEMAND, events.append)
    assert (berth.hardware.device, berth.hardware.dtype_name, events) == ("cuda:1", "bfloat16", [])
    assert (berth.plan.micro_batch_tokens, berth.plan.gradient_checkpointing) == (2048, False)


@pytest.mark.parametrize(
    ("processes", "free", "devices"),
    [
        (1, (60, 60, 60), ["cuda:1"]),
        (2, (60, 60, 60), ["cuda:1", "cuda:0"]),
        (None, (60, 50, 3), ["cuda:1", "cuda:0"]),
        (3, (60, 3, 3), ["cuda:1"]),
        (12, (60,) * 12, [f"cuda:{number}" for number in (1, 0, *range(2, 8))]),
    ],
)
def test_a_device_joins_where_it_has_room_and_a_row_of_each_batch(
    monkeypatch: pytest.MonkeyPatch, processes: int | None, free: tuple[float, ...], devices: list[str]
) -> None:
    numbers = [1, 0, *range(2, len(free))]
    all_rooms = [Room(f"cuda:{number}", int(size * GIB), 80 * GIB) for number, size in zip(numbers, free, strict=True)]
    monkeypatch.setattr("training.room.list_rooms", lambda _: all_rooms)
    events: list[Event] = []
    berth = find_room(DEMAND, events.append, processes=processes)
    assert berth.devices == devices
    assert berth.room.device == devices[-1]
    codes = [event.code for event in events if isinstance(event, Notice)]
    assert codes == (["fewer_processes"] if processes == 3 else [])


@pytest.mark.parametrize(("free", "count"), [(200, 2), (60, 1)])
def test_processes_share_the_memory_of_the_processor(monkeypatch: pytest.MonkeyPatch, free: int, count: int) -> None:
    monkeypatch.setattr("training.room.list_rooms", lambda _: [Room("cpu", free * GIB, free * GIB)])
    assert find_room(DEMAND, lambda _: None, processes=2).devices == ["cpu"] * count
    assert find_room(DEMAND, lambda _: None, processes=None).devices == ["cpu"]


def test_little_room_is_used_with_checkpoints(rooms: Rooms) -> None:
    rooms(18)
    berth = find_room(DEMAND, lambda _: None)
    assert berth.plan.gradient_checkpointing
    assert berth.plan.forecast.total <= 18 * GIB


def test_no_room_is_refused_with_the_numbers_and_the_settings_that_help(rooms: Rooms) -> None:
    rooms(15.5)
    with pytest.raises(TrainingError) as caught:
        find_room(DEMAND, lambda _: None)
    message = caught.value.message
    assert caught.value.code == "out_of_memory"
    assert "at least 15.8 GiB" in message
    assert "on cuda:1 (weights 13.0, adapter and optimizer 0.7, activations" in message
    assert "Free are 15.5 of 80.0 GiB" in message
    assert "tokens would fit: ask for this in braid.recipe.max_length" in message
    for setting in ("BRAID_ENGINE_GPU_SHARE", "BRAID_TRAINING_DEVICE", "BRAID_TRAINING_WAIT_SECONDS"):
        assert setting in message


def test_room_is_waited_for_with_a_notice(rooms: Rooms) -> None:
    rooms(5, 5, 40)
    events: list[Event] = []
    assert find_room(DEMAND, events.append, wait_seconds=60).room.free == 40 * GIB
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.code == "waiting_for_memory"
    assert "up to 60 s" in notice.message


def test_the_waiting_ends(rooms: Rooms) -> None:
    rooms(5)
    with pytest.raises(TrainingError, match=r"Free are 5\.0"):
        find_room(DEMAND, lambda _: None, wait_seconds=20)


def test_a_card_that_is_too_small_is_not_waited_for(rooms: Rooms) -> None:
    rooms(11, total=12)
    events: list[Event] = []
    with pytest.raises(TrainingError, match="name a larger device"):
        find_room(DEMAND, events.append, wait_seconds=3600)
    assert events == []
