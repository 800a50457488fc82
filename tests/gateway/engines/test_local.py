import json
from pathlib import Path

import pytest

from gateway.engine_options import EngineOptions
from gateway.engines.hardware import Hardware, choose_gpu_share
from gateway.engines.local import PLUGIN, LocalEngine

GIB = 2**30

AVX2 = Hardware(cuda=False, flags=frozenset({"avx2"}), cores=(0, 1))
BF16 = Hardware(cuda=False, flags=frozenset({"avx2", "avx512f", "avx512_bf16"}), cores=(0, 2))
CUDA = Hardware(cuda=True, flags=frozenset(), cores=(0,))


def engine(folder: Path, length: int = 8192, options: str = "") -> LocalEngine:
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": length}))
    return LocalEngine(Path("/env/bin/python"), folder, "base", 9200, options=EngineOptions.parse(options))


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_listens_on_loopback_only_and_takes_adapters(tmp_path: Path) -> None:
    arguments = list(engine(tmp_path).make_command(AVX2, {}).arguments)
    assert option(arguments, "--host") == "127.0.0.1"
    assert option(arguments, "--port") == "9200"
    assert option(arguments, "--served-model-name") == "base"
    assert int(option(arguments, "--max-loras")) >= 2
    assert int(option(arguments, "--max-cpu-loras")) >= int(option(arguments, "--max-loras"))
    assert option(arguments, "--max-lora-rank") == "16"
    assert "--enable-lora" in arguments
    assert engine(tmp_path).make_command(AVX2, {}).environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


@pytest.mark.parametrize(("hardware", "dtype"), [(AVX2, "float32"), (BF16, "bfloat16")])
def test_the_processor_decides_the_number_format(tmp_path: Path, hardware: Hardware, dtype: str) -> None:
    command = engine(tmp_path).make_command(hardware, {})
    assert option(list(command.arguments), "--dtype") == dtype
    assert command.environment["VLLM_CPU_OMP_THREADS_BIND"] == ",".join(map(str, hardware.cores))
    assert command.environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert command.arguments[1:3] == ["-m", "braid_engine"]
    assert PLUGIN.joinpath("braid_engine/__main__.py").is_file()


def test_cuda_takes_the_real_command_and_its_own_defaults(tmp_path: Path) -> None:
    command = engine(tmp_path).make_command(CUDA, {})
    assert command.arguments[:2] == ["/env/bin/vllm", "serve"]
    assert "--dtype" not in command.arguments
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command.environment


def test_a_huge_context_is_cut(tmp_path: Path) -> None:
    assert "--max-model-len" not in engine(tmp_path).make_command(AVX2, {}).arguments
    assert option(list(engine(tmp_path, 131_072).make_command(AVX2, {}).arguments), "--max-model-len") == "8192"
    assert option(list(engine(tmp_path, 131_072).make_command(CUDA, {}).arguments), "--max-model-len") == "32768"


def test_a_huge_context_of_a_model_that_also_sees_is_cut(tmp_path: Path) -> None:
    nested = engine(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": 131_072}}))
    assert option(list(nested.make_command(CUDA, {}).arguments), "--max-model-len") == "32768"


def test_the_operator_decides_the_context(tmp_path: Path) -> None:
    arguments = list(engine(tmp_path, 131_072, "--max_model_len 65536").make_command(CUDA, {}).arguments)
    assert "--max-model-len" not in arguments
    assert option(arguments, "--max_model_len") == "65536"


def test_options_of_the_operator_reach_the_engine_and_replace_our_own(tmp_path: Path) -> None:
    given = "-tp 2 --quantization fp8 --reasoning-parser qwen3 --dtype=float32 --no-enforce-eager"
    arguments = list(engine(tmp_path, options=given).make_command(AVX2, {}).arguments)
    assert arguments[-8:] == given.split()
    assert "--dtype" not in arguments
    assert "--enforce-eager" not in arguments


@pytest.mark.parametrize("hardware", [AVX2, CUDA])
def test_json_has_no_room_for_white_space_unless_the_operator_says_so(tmp_path: Path, hardware: Hardware) -> None:
    arguments = list(engine(tmp_path).make_command(hardware, {}).arguments)
    config = json.loads(option(arguments, "--structured-outputs-config"))
    assert config == {"backend": "xgrammar", "disable_any_whitespace": True}
    for own in ('--structured-outputs-config \'{"backend": "auto"}\'', "--structured_outputs_config.backend guidance"):
        words = list(engine(tmp_path, options=own).make_command(hardware, {}).arguments)
        assert not [word for word in words if "disable_any_whitespace" in word]
        assert words[-1] in ('{"backend": "auto"}', "guidance")


def test_an_engine_on_one_gpu_leaves_room_for_training(tmp_path: Path) -> None:
    local = engine(tmp_path)
    assert option(list(local.make_command(CUDA, {}).arguments), "--gpu-memory-utilization") == "0.45"
    chosen = LocalEngine(Path("/env/bin/python"), tmp_path, "base", 9200, gpu_share=0.7)
    assert option(list(chosen.make_command(CUDA, {}).arguments), "--gpu-memory-utilization") == "0.7"
    assert "--gpu-memory-utilization" not in local.make_command(AVX2, {}).arguments


@pytest.mark.parametrize(
    ("gpus", "weights", "engine_gpus", "share"),
    [
        ((80,), 15, 1, 0.45),  # a 7B model on one H100: 36 GiB for the engine, 44 for training
        ((80,), 35, 1, 0.53),  # a larger one: what it needs to start
        ((24,), 15, 1, 0.85),  # a card too small for both serves
        ((24,), 60, 1, 0.9),
        ((80, 80), 15, 1, 0.9),  # training has the other card
        ((80, 80), 15, 2, 0.45),  # both cards are the engine's
        ((), 15, 1, 0.45),
    ],
)
def test_the_share_of_an_engine_follows_from_the_cards(
    gpus: tuple[int, ...], weights: int, engine_gpus: int, share: float
) -> None:
    assert choose_gpu_share(tuple(size * GIB for size in gpus), weights * GIB, engine_gpus) == share


def test_numbers_that_are_none_are_counted_on_cuda(tmp_path: Path) -> None:
    assert engine(tmp_path).make_command(CUDA, {}).environment["VLLM_COMPUTE_NANS_IN_LOGITS"] == "1"
    assert "VLLM_COMPUTE_NANS_IN_LOGITS" not in engine(tmp_path).make_command(AVX2, {}).environment


TOOLS = "{% if tools %}<tools>{{ tools }}</tools> <tool_call>{% endif %}{{ messages }}"


@pytest.mark.parametrize(
    ("template", "options", "words"),
    [
        (TOOLS, "", ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]),
        ("{{ messages }}", "", []),
        (TOOLS, "--tool-call-parser pythonic", ["--enable-auto-tool-choice", "--tool-call-parser", "pythonic"]),
        ("", "--tool-call-parser xlam", ["--enable-auto-tool-choice", "--tool-call-parser", "xlam"]),
        (TOOLS, "--no-enable-auto-tool-choice", ["--no-enable-auto-tool-choice"]),
    ],
)
def test_tools_work_where_the_template_has_them_or_the_operator_says_so(
    tmp_path: Path, template: str, options: str, words: list[str]
) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    arguments = list(engine(tmp_path, options=options).make_command(AVX2, {}).arguments)
    assert arguments[arguments.index("--enforce-eager") + 1 :] == words


def test_our_secrets_do_not_reach_the_engine(tmp_path: Path) -> None:
    environment = engine(tmp_path).make_command(AVX2, {"BRAID_ADMIN_KEY": "secret", "PATH": "/bin"}).environment
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
    assert found.gpu_bytes == ()
    assert Hardware.detect().cores


def test_an_engine_gets_one_thread_per_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3})
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags: avx2\n")
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        topology = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    assert Hardware.detect(tmp_path).cores == (0, 1)


def test_the_memory_of_the_gpus_that_we_may_use_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, GPU-a, 81559'\necho '1, GPU-b, 24564'\necho '2, GPU-c, [N/A]'\n")
    program.chmod(0o755)
    for folder in ("proc", "dev"):
        (tmp_path / folder).mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags: avx2\n")
    (tmp_path / "dev/nvidia0").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Hardware.detect(tmp_path).gpu_bytes == (81559 << 20, 24564 << 20)
    for visible in ("1", "GPU-b"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert Hardware.detect(tmp_path).gpu_bytes == (24564 << 20,)
    monkeypatch.setenv("PATH", str(tmp_path / "proc"))
    assert Hardware.detect(tmp_path).gpu_bytes == ()
