from pathlib import Path

from deploy.environments.hardware import Hardware, detect


def test_cuda_is_seen_by_its_device(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    assert detect(tmp_path, "no-such-command") is Hardware.CUDA


def test_cuda_is_seen_by_its_driver(tmp_path: Path) -> None:
    assert detect(tmp_path, "true") is Hardware.CUDA
    assert detect(tmp_path, "false") is Hardware.CPU


def test_the_control_device_alone_is_no_gpu(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert detect(tmp_path, "no-such-command") is Hardware.CPU
