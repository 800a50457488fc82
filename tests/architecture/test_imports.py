"""Importing a module does nothing: no files, no sockets, no databases, no threads."""

from pathlib import Path

import pytest

from tests.architecture.importing import Imports
from tests.architecture.source import ROOT

# Only the second environment has these; `model/test_model_imports.py` imports there what needs them.
OF_THE_MODEL_ENVIRONMENT = {"torch", "transformers", "peft", "safetensors", "sentence_transformers", "tokenizers"}
OF_THE_MODEL_ENVIRONMENT |= {
    "huggingface_hub",
    "qdrant_client",
    "qdrant_edge",
    "lxml",
    "pypdfium2",
    "puremagic",
    "charset_normalizer",
    "gguf",
    "httpx",
}


def test_importing_the_gateway_and_prompts_does_nothing() -> None:
    imports = Imports(["gateway", "prompts"], ["fastapi", "sqlalchemy", "uvicorn", "typer", "rich", "httpx2"])
    assert imports.deeds == {}
    assert imports.missing == {}


def test_importing_what_the_strands_have_without_models_does_nothing() -> None:
    imports = Imports(["retrieval", "training"], ["msgspec", "numpy"])
    assert imports.deeds == {}
    assert set(imports.missing.values()) <= OF_THE_MODEL_ENVIRONMENT
    assert imports.imported > 20


def test_a_module_that_does_something_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "busy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "opens.py").write_text(f"open({str(tmp_path / 'x')!r}, 'w').close()\n")
    (package / "listens.py").write_text("import socket\nsocket.socket().bind(('127.0.0.1', 0))\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    assert set(Imports(["busy"], []).deeds) == {"busy.opens", "busy.listens"}
