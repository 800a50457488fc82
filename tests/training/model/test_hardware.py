from pathlib import Path

import pytest
import torch

from training.hardware import Hardware, choose_reference_hardware, choose_training_hardware

ON_CPU = Hardware("cpu", torch.float32)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("cpuinfo", "dtype"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n", torch.bfloat16),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", torch.bfloat16),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", torch.float32),
        ("processor\t: 0\nFeatures\t: fp asimd\n", torch.float32),
    ],
)
def test_a_processor_trains_in_bfloat16_where_it_has_instructions_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str, dtype: torch.dtype
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr("training.hardware._CPUINFO", tmp_path / "cpuinfo")
    assert choose_training_hardware() == Hardware("cpu", dtype)


@pytest.mark.usefixtures("no_gpu")
def test_references_are_computed_in_float32() -> None:
    assert choose_reference_hardware(135_000_000) == ON_CPU
    assert ON_CPU.dtype_name == "float32"


@pytest.mark.parametrize(("free", "device"), [(5_000_000_001, "cuda"), (5_000_000_000, "cpu")])
def test_a_gpu_computes_references_where_the_model_fits_into_its_free_memory(
    monkeypatch: pytest.MonkeyPatch, free: int, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 80_000_000_000))
    assert choose_reference_hardware(1_000_000_000) == Hardware(device, torch.float32)
    assert choose_training_hardware() == Hardware("cuda", torch.bfloat16)
