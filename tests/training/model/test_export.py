"""An exported adapter, loaded by PEFT as anybody would."""

import io
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from gateway.adapters.archive import CONFIG, WEIGHTS
from gateway.adapters.export import Export, open_export, write_card
from gateway.artifacts import Artifacts
from tests.training.model.test_verdict import lora, save


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def test_peft_computes_the_same_with_what_was_exported(base_model: Path, artifacts: Artifacts, tmp_path: Path) -> None:
    stored = save(base_model, artifacts.locate_adapter("digest"), lora())
    card = write_card("voice", "ft:base:kestrel:voice:00000000", "base", "digest", 8, {"rows": 50})
    data = b"".join(open_export(artifacts, Export("digest", "voice.zip", card)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert set(archive.namelist()) == {"README.md", CONFIG, WEIGHTS}
        archive.extractall(tmp_path / "exported")
    tokens = torch.tensor([[1, 5, 9, 13]])
    logits = [compute(base_model, folder, tokens) for folder in (stored, tmp_path / "exported", None)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


def compute(base_model: Path, adapter: Path | None, tokens: torch.Tensor) -> torch.Tensor:
    model: Any = cast("Any", AutoModelForCausalLM).from_pretrained(base_model)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.no_grad():
        return model(tokens).logits
