"""Memory that ran out, on any device, as a reason that says who can do what about it."""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from training.errors import TrainingError

__all__ = ["explain_out_of_memory", "is_out_of_memory"]

_WORDS = ("out of memory", "alloc_failed", "can't allocate memory", "not enough memory")
"""Parts of the messages of torch's allocators and of CUDA's libraries, of which few have an exception of their own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception of Python, torch or CUDA means that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


@contextmanager
def explain_out_of_memory(work: str, advice: str) -> Generator[None]:
    """Turn an exception that means that memory ran out into `out_of_memory`.

    Args:
        work: The work, as the beginning of a sentence.
        advice: What its owner or the operator can do.

    Raises:
        TrainingError: `out_of_memory`.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrainingError("out_of_memory", f"{work} ran out of memory ({reason}). {advice}") from error
