"""Batches of texts that a device's memory doesn't hold, as when an engine takes more of a GPU: halved until it does."""

import logging
import time
from collections.abc import Callable, Sequence

from retrieval.errors import EmbedderOutOfMemory

__all__ = ["FittingBatch"]

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 600.0
"""Until the whole batch is tried anew: each time that it doesn't fit costs one."""

_NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""As torch words it, on GPUs and processors; it isn't imported for the classes of its errors."""


class FittingBatch:
    """The number of texts that go through a model at once, on a device that others may use too."""

    def __init__(self, most: int, device: str) -> None:
        self._most = most
        self._device = device
        self._fitting = most
        self._until = 0.0

    @property
    def size(self) -> int:
        """The number that fits, for all that is known."""
        return self._most if time.monotonic() >= self._until else self._fitting

    def encode(self, encode: Callable[[Sequence[str]], list[list[float]]], texts: Sequence[str]) -> list[list[float]]:
        """Return the texts' vectors, from as many calls as their memory takes.

        Raises:
            EmbedderOutOfMemory: There is none for a single text.
        """
        vectors: list[list[float]] = []
        size = len(texts) if time.monotonic() >= self._until else min(len(texts), self._fitting)
        while len(vectors) < len(texts):
            part = texts[len(vectors) : len(vectors) + size]
            try:
                vectors += encode(part)
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                if len(part) == 1:
                    raise EmbedderOutOfMemory(
                        f"The embedder's device ({self._device}) has no memory left for one text. Leave it some, such "
                        "as by a smaller share for the engine beside it, then try again."
                    ) from error
                size = self._fitting = len(part) // 2
                self._until = time.monotonic() + _AGAIN_SECONDS
                _log.warning(
                    "%d texts don't fit the memory of %s: %d at once for a while", len(part), self._device, size
                )
        return vectors


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)
