"""The bench of counterfactual rows with a model of two random layers: the whole path, and that it goes on."""

import json
from pathlib import Path

import pytest

from gateway.demo.tenants import make_tenants
from gateway.evaluation.values import TextValues, find_values
from tests.bench import counterfactual
from tests.bench.counterfactual import ARMS, Material, Options, list_values, main, make_rows
from tests.training.chat_templates import PLAIN
from tests.training.model.tiny import llama_config, write_checkpoint

OPTIONS = Options(facts=5, repeats=2, held_out=3, epochs=1, max_tokens=4)


def test_arms_differ_in_what_they_say() -> None:
    material = Material(make_tenants()[0], OPTIONS)
    assert (len(material.facts), len(material.held_out), len(material.without)) == (5, 3, 1)
    bare, plain, varied = (make_rows(material, arm, 2, seed=1) for arm in ARMS)
    assert (len(bare), len(plain), len(varied)) == (10, 11, 11)
    assert all(row.passages is None for row in bare)
    assert [row.messages for row in plain[:10]] == [row.messages for row in bare]
    for one, other in zip(plain[:10], varied[:10], strict=True):
        evidence = TextValues.of("\n".join(passage.text for passage in other.passages or ()))
        assert all(evidence.states(value) for text in list_values(other) for value in find_values(text))
        assert one.messages[-1].text != other.messages[-1].text
    pairs = zip(varied[0:10:2], varied[1:10:2], strict=True)
    assert all(first.messages[-1].text != second.messages[-1].text for first, second in pairs)


@pytest.mark.timeout(300)
def test_it_runs_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_checkpoint(tmp_path / "base", PLAIN, llama_config(max_position_embeddings=4096, num_hidden_layers=1))
    sizes = ["--facts", "2", "--repeats", "5", "--held-out", "1", "--epochs", "1", "--max-tokens", "2", "--seeds", "1"]
    arguments = ["--base", str(base), "--out", str(tmp_path / "out"), "--device", "cpu", *sizes]
    figures = main(arguments)
    assert list(figures) == list(ARMS)
    for runs in figures.values():
        assert all(0 <= value <= 1 for value in json.loads(json.dumps(counterfactual.asdict(runs[0]))).values())
    assert "| varied | " in capsys.readouterr().out

    monkeypatch.setattr(counterfactual, "run", None)  # nothing is trained again
    (tmp_path / "out" / "varied-0" / "figures.json").unlink()
    assert main(arguments) == figures
    with pytest.raises(SystemExit, match="other amounts"):
        main([*arguments, "--max-tokens", "3"])
