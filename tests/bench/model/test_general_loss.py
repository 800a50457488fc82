"""The bench of what a voice costs, with a model of two random layers: the whole path, and that it goes on."""

from pathlib import Path

import pytest

from tests.bench import general_loss
from tests.bench.general_loss import main
from tests.training.chat_templates import PLAIN
from tests.training.model.tiny import llama_config, write_checkpoint


@pytest.mark.timeout(300)
def test_it_trains_and_measures_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_checkpoint(tmp_path / "base", PLAIN, llama_config(max_position_embeddings=4096, num_hidden_layers=1))
    out = tmp_path / "out"
    amounts = ["--suite-step", "60", "--held-out", "4", "--max-tokens", "2"]
    arguments = ["--base", str(base), "--out", str(out), *amounts, "--rates"]
    figures = main([*arguments, "1"])
    assert list(figures) == ["1"]
    assert figures["1"].gain > 0
    assert figures["1"].neutral != 0
    assert "| 1 | " in capsys.readouterr().out

    monkeypatch.setattr(general_loss, "run", None)  # nothing is trained again
    (out / "1.json").unlink()
    again = main([*arguments, "1", "--adapters", f"there={out / '1' / 'adapter'}"])
    assert again == {"there": figures["1"], "1": figures["1"]}
