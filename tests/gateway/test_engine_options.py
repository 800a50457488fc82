import pytest

from gateway.engine_options import EngineOptions
from gateway.settings import SettingsError, load_settings


def test_words_are_split_as_a_shell_does() -> None:
    options = EngineOptions.parse("""-tp 2 --quantization=fp8 --x-y '{"a": [1, 2]}' --seed -1 -O3""")
    assert options.words == (
        "-tp",
        "2",
        "--quantization=fp8",
        "--x-y",
        '{"a": [1, 2]}',
        "--seed",
        "-1",
        "-O3",
    )
    assert options.find_value("--tensor-parallel-size") == "2"
    assert options.find_value("--quantization") == "fp8"
    assert options.find_value("--dtype") is None
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
        "--lora-target-modules q_proj",
        "--chat-template-content-format string",
        "--trust-request-chat-template",
        "--skip-tokenizer-init",
        "--hf-overrides '{}'",
        "--revision main",
        "--max-logprobs 0",
        "--return-tokens-as-token-ids",
        "--response-role bot",
        "--runner pooling",
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
