"""The choice of a device, with a machine's files and CUDA's answers made up."""

from pathlib import Path

import pytest
import torch

from training.errors import TrainingError
from training.hardware import (
    Room,
    TrainingDevice,
    check_reference_hardware,
    choose_reference_hardware,
    choose_training_hardware,
    list_rooms,
)

ON_CPU = TrainingDevice("cpu", torch.float32)
MEMORY = "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 GB without a GPU; return its root folder."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("training.hardware._ROOT", tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(MEMORY)
    (tmp_path / "proc/cpuinfo").write_text("flags\t: fpu avx2\n")
    return tmp_path


@pytest.fixture
def gpus(machine: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two cards of 80 GB; the list is what is free on each."""
    free = [6_000_000_000, 60_000_000_000]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 80_000_000_000))
    return free


@pytest.mark.parametrize(
    ("cpuinfo", "dtype"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n", torch.float32),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", torch.bfloat16),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", torch.float32),
        ("processor\t: 0\nFeatures\t: fp asimd\n", torch.float32),
    ],
)
def test_a_processor_trains_in_bfloat16_where_it_has_instructions_for_it(
    machine: Path, cpuinfo: str, dtype: torch.dtype
) -> None:
    (machine / "proc/cpuinfo").write_text(cpuinfo)
    (room,) = list_rooms()
    assert choose_training_hardware(room) == TrainingDevice("cpu", dtype)


def test_the_memory_of_a_machine_is_what_is_available(machine: Path) -> None:
    assert list_rooms() == [Room("cpu", 12_000_000 * 1024, 16_000_000 * 1024)]


@pytest.mark.parametrize(("limit", "free"), [("4000000000", 1_500_000_000), ("max", 12_000_000 * 1024)])
def test_a_container_has_what_its_limit_leaves(machine: Path, limit: str, free: int) -> None:
    group = machine / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text("3000000000\n")
    (group / "memory.stat").write_text("anon 2500000000\ninactive_file 500000000\n")
    (room,) = list_rooms()
    assert room.free == free


@pytest.mark.usefixtures("machine")
def test_references_are_computed_in_float32() -> None:
    assert choose_reference_hardware(135_000_000) == ON_CPU
    assert ON_CPU.dtype_name == "float32"


def test_the_gpu_with_the_most_free_memory_is_taken_and_not_the_first(gpus: list[int]) -> None:
    assert [room.device for room in list_rooms()] == ["cuda:1", "cuda:0"]
    assert choose_training_hardware(list_rooms()[0]) == TrainingDevice("cuda:1", torch.bfloat16)
    assert choose_reference_hardware(7_000_000_000) == TrainingDevice("cuda:1", torch.float32)
    gpus.reverse()
    assert list_rooms()[0] == Room("cuda:0", 60_000_000_000, 80_000_000_000)


@pytest.mark.parametrize(
    ("device", "devices"),
    [("auto", ["cuda:1", "cuda:0"]), ("cuda", ["cuda:1", "cuda:0"]), ("cuda:0", ["cuda:0"]), ("cpu", ["cpu"])],
)
@pytest.mark.usefixtures("gpus")
def test_a_setting_says_which_devices_may_be_used(device: str, devices: list[str]) -> None:
    assert [room.device for room in list_rooms(device)] == devices


@pytest.mark.parametrize(("device", "reason"), [("cuda:2", "sees 2 CUDA devices"), ("gpu", "none of auto, cpu, cuda")])
@pytest.mark.usefixtures("gpus")
def test_a_device_that_is_not_there_is_an_error_and_never_another_one(device: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=rf"{reason}.*BRAID_TRAINING_DEVICE") as caught:
        list_rooms(device)
    assert caught.value.code == "device_unavailable"


@pytest.mark.usefixtures("machine")
def test_cuda_is_not_replaced_by_the_processor() -> None:
    with pytest.raises(TrainingError, match="sees no CUDA device"):
        list_rooms("cuda")


def test_a_reference_that_fits_no_gpu_is_computed_on_the_processor_or_refused_with_the_numbers(gpus: list[int]) -> None:
    gpus[:] = [10_000_000_000, 10_000_000_000]
    assert choose_reference_hardware(2_000_000_001) == ON_CPU
    with pytest.raises(
        TrainingError, match=r"takes 14\.0 GiB; free are 9\.3 GiB on cuda:0 and 11\.4 GiB on cpu"
    ) as caught:
        choose_reference_hardware(3_000_000_000)
    assert caught.value.code == "out_of_memory"


def test_a_model_whose_reference_fits_no_empty_device_is_refused_however_much_is_free(gpus: list[int]) -> None:
    gpus[:] = [0, 0]
    check_reference_hardware(15_000_000_000)  # as soon as a card is free again
    with pytest.raises(TrainingError, match=r"takes 79\.2 GiB.*cuda:0 has the most, 74\.5 GiB in all") as caught:
        check_reference_hardware(17_000_000_000)
    assert caught.value.code == "out_of_memory"
    with pytest.raises(TrainingError, match=r"takes 18\.6 GiB.*cpu has the most, 15\.3 GiB in all"):
        check_reference_hardware(4_000_000_000, "cpu")
