import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.base_model import BaseModel, make
from training.checkpoint import chat_template
from training.errors import TrainingError
from training.output import cancellable


def silent(_: str) -> None:
    pass


@pytest.mark.parametrize("source", [None, "acme/no-such-model"])
def test_one_that_is_there_is_used(base_model: Path, source: str | None) -> None:
    assert make(base_model, source, "float32", silent) == BaseModel(str(base_model), made=False)


def test_a_local_one_is_used_where_it_is(base_model: Path, tmp_path: Path) -> None:
    assert make(tmp_path / "out", str(base_model), "float32", silent) == BaseModel(str(base_model), made=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "chat_template.jinja", None])
def test_one_that_could_not_be_served_is_refused(base_model: Path, tmp_path: Path, missing: str | None) -> None:
    copy = tmp_path / "copy"
    if missing:
        shutil.copytree(base_model, copy)
        (copy / missing).unlink()
    with pytest.raises(TrainingError) as caught:
        make(tmp_path / "out", str(copy), "float32", silent)
    assert caught.value.code == "base_model_unusable"


def test_the_packaged_one_is_unpacked_in_the_type_that_serves(tmp_path: Path) -> None:
    told: list[str] = []
    out = tmp_path / "models" / "smollm2"
    with cancellable():
        assert make(out, None, "bfloat16", told.append) == BaseModel(str(out), made=True)
    assert [entry.name for entry in out.parent.iterdir()] == ["smollm2"]
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in out.iterdir())
    assert "<|im_start|>" in chat_template(out)
    assert len(told) == 2
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(out)
    model = cast("Any", AutoModelForCausalLM).from_pretrained(out)
    assert model.dtype == torch.bfloat16
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_dict=False
    )
    reply = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0][len(prompt) :]
    assert "Paris" in tokenizer.decode(reply)
