import json
from pathlib import Path

import pytest

from gateway.engines.hardware import Hardware
from gateway.engines.local import LocalEngine

AVX2 = Hardware(cuda=False, flags=frozenset({"avx2"}), cores=(0, 1))
BF16 = Hardware(cuda=False, flags=frozenset({"avx2", "avx512f", "avx512_bf16"}), cores=(0, 2))
CUDA = Hardware(cuda=True, flags=frozenset(), cores=(0,))


def engine(folder: Path, length: int = 8192) -> LocalEngine:
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": length}))
    return LocalEngine(Path("/env/bin/python"), folder, "base", 9200)


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_listens_on_loopback_only_and_takes_adapters(tmp_path: Path) -> None:
    arguments = list(engine(tmp_path).command(AVX2, {}).arguments)
    assert option(arguments, "--host") == "127.0.0.1"
    assert option(arguments, "--port") == "9200"
    assert option(arguments, "--served-model-name") == "base"
    assert int(option(arguments, "--max-loras")) >= 2
    assert int(option(arguments, "--max-cpu-loras")) >= int(option(arguments, "--max-loras"))
    assert option(arguments, "--max-lora-rank") == "16"
    assert "--enable-lora" in arguments
    assert engine(tmp_path).command(AVX2, {}).environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


@pytest.mark.parametrize(("hardware", "dtype"), [(AVX2, "float32"), (BF16, "bfloat16")])
def test_the_processor_decides_the_number_format(tmp_path: Path, hardware: Hardware, dtype: str) -> None:
    command = engine(tmp_path).command(hardware, {})
    assert option(list(command.arguments), "--dtype") == dtype
    assert command.environment["VLLM_CPU_OMP_THREADS_BIND"] == ",".join(map(str, hardware.cores))


def test_cuda_takes_the_real_command_and_its_own_defaults(tmp_path: Path) -> None:
    command = engine(tmp_path).command(CUDA, {})
    assert command.arguments[:2] == ["/env/bin/vllm", "serve"]
    assert "--dtype" not in command.arguments
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command.environment


def test_a_huge_context_is_cut(tmp_path: Path) -> None:
    assert "--max-model-len" not in engine(tmp_path).command(AVX2, {}).arguments
    assert option(list(engine(tmp_path, 131_072).command(AVX2, {}).arguments), "--max-model-len") == "8192"
    assert option(list(engine(tmp_path, 131_072).command(CUDA, {}).arguments), "--max-model-len") == "32768"


def test_our_secrets_do_not_reach_the_engine(tmp_path: Path) -> None:
    environment = engine(tmp_path).command(AVX2, {"BRAID_ADMIN_KEY": "secret", "PATH": "/bin"}).environment
    assert environment["PATH"] == "/bin"
    assert "secret" not in environment.values()


def test_hardware_is_read_from_the_machine(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("model name\t: X\nflags\t\t: fpu avx2 avx512_bf16\n")
    found = Hardware.detect(tmp_path)
    assert found.computes_bfloat16
    assert not found.cuda
    (tmp_path / "dev/nvidia0").touch()
    assert Hardware.detect(tmp_path).cuda
    assert Hardware.detect().cores


def test_one_thread_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3})
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags: avx2\n")
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        topology = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    assert Hardware.detect(tmp_path).cores == (0, 1)
