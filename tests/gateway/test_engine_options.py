import os
import subprocess
from pathlib import Path

import pytest

from gateway.engine_options import EngineOptions, _check_owner, _name  # pyright: ignore[reportPrivateUsage]
from gateway.settings import SettingsError, load_settings

ROOT = Path(__file__).parents[2]
MODEL_PYTHON = ROOT / ".venv-model/bin/python"
LIST_OPTIONS = (
    "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
    "from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
    "for action in make_arg_parser(FlexibleArgumentParser())._actions:\n"
    "    print('option', *action.option_strings)\n"
)
OURS = {
    "--api-key", "--api-server-count", "--chat-template", "--config", "--default-chat-template-kwargs", "--enable-lora",
    "--enable-prompt-tokens-details", "--enable-ssl-refresh", "--gpu-memory-utilization", "--grpc", "--headless",
    "--help", "--host", "--lora-modules", "--max-cpu-loras", "--max-lora-rank", "--max-loras", "--model", "--port",
    "--root-path", "--served-model-name", "--ssl-ca-certs", "--ssl-cert-reqs", "--ssl-certfile", "--ssl-ciphers",
    "--ssl-keyfile", "--tokenizer", "--tokenizer-mode", "--uds",
}  # fmt: skip


def test_words_are_split_as_a_shell_does() -> None:
    options = EngineOptions.parse("""-tp 2 --quantization=fp8 --hf-overrides '{"a": [1, 2]}' --seed -1 -O3""")
    assert options.words == ("-tp", "2", "--quantization=fp8", "--hf-overrides", '{"a": [1, 2]}', "--seed", "-1", "-O3")
    assert options.value("--tensor-parallel-size") == "2"
    assert options.value("--quantization") == "fp8"
    assert options.value("--dtype") is None
    assert options.count_gpus() == 2
    assert EngineOptions.parse("").words == ()


@pytest.mark.parametrize(
    "text",
    [
        "--port 8000",
        "--port=8000",
        "--por 8000",
        "--served_model_name x",
        "--max-num-seqs 8 --api-key secret",
        "--model.x y",
        "--no-enable-lora",
        "--gpu-memory-utilization 0.9",
        "--gpu_memory_util 0.9",
        "--config file.yaml",
        "-asc 4",
        "--chat-template other.jinja",
        "--tokenizer other",
        "--headless",
    ],
)
def test_options_that_are_braids_own_are_refused_however_they_are_written(text: str) -> None:
    with pytest.raises(SettingsError, match=r"engine_options can't be used: .* can't be among the options"):
        load_settings({"engine_options": text})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model-name", "belongs to no option"),
        ("--quantization=fp8 awq", "belongs to no option"),
        ("-- --seed 1", "belongs to no option"),
        ("--hf-overrides '{", "No closing quotation"),
        ("-tp two", "whole numbers"),
    ],
)
def test_a_line_that_can_not_be_meant_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_settings({"engine_options": text})


@pytest.mark.parametrize(
    "text",
    [
        "--max-model-len 4096",
        "--tensor-parallel-size 4",
        "--tool-call-parser hermes --reasoning-parser qwen3",
        "-q awq",
    ],
)
def test_what_a_machine_or_a_model_needs_is_taken(text: str) -> None:
    assert load_settings({"engine_options": text}).engine_options == text


@pytest.mark.skipif(not MODEL_PYTHON.exists(), reason="needs the model environment")
def test_of_the_options_of_the_installed_vllm_braid_refuses_its_own_and_no_other() -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "VLLM_LOGGING_LEVEL": "ERROR"}
    answer = subprocess.run(
        [MODEL_PYTHON, "-c", LIST_OPTIONS], capture_output=True, text=True, timeout=100, check=True, env=environment
    )
    lines = [line.split()[1:] for line in answer.stdout.splitlines() if line.startswith("option ")]
    refused: set[str] = set()
    for names in lines:
        long = [name for name in names if name.startswith("--") and not name.startswith("--no-")]
        for name in names:
            try:
                _check_owner(_name(name))
            except ValueError:
                refused |= set(long[:1])
    assert len(lines) > 200
    assert refused == OURS
