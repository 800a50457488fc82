"""The size of an adapter's updates beside the weights that they are added to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.safetensors_header import Tensor
from training.verdict.verdict import Reason, list_examples

__all__ = ["MAX_RATIO", "decode_numbers", "judge_updates", "sample_norm", "sum_squares"]

MAX_RATIO = 1_000.0
"""Limit of an update's Frobenius norm, as a multiple of the weight's own.

Trained ones stay below 1. What a layer puts out is some units large, and float16 ends at 65,504: an update of a
thousand times the weight leaves a layer's output just below that.
"""

_SAMPLE_BYTES = 4096


def decode_numbers(content: bytes, dtype: str) -> NDArray[np.float32] | None:
    """Return the numbers of some bytes; None for types that aren't plain floating-point numbers."""
    match dtype:
        case "F32":
            return np.frombuffer(content, np.float32)
        case "F16":
            return np.frombuffer(content, np.float16).astype(np.float32)
        case "BF16":  # the upper half of a float32
            return (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(np.float32)
        case _:
            return None


def sum_squares(content: bytes, dtype: str) -> float:
    """Return the sum of the squares of some bytes' numbers, in float64."""
    numbers = decode_numbers(content, dtype)
    return 0.0 if numbers is None else float(np.square(numbers, dtype=np.float64).sum())


def sample_norm(file: Path, tensor: Tensor) -> float | None:
    """Estimate a tensor's Frobenius norm from 4 KiB of its middle; None where these can't tell."""
    middle = (tensor.start + tensor.end - _SAMPLE_BYTES) // 2
    start = max(tensor.start, middle - (middle - tensor.start) % 4)
    with file.open("rb", buffering=0) as handle:
        handle.seek(start)
        numbers = decode_numbers(handle.read(min(_SAMPLE_BYTES, tensor.end - start) // 4 * 4), tensor.dtype)
    if numbers is None or not numbers.size:
        return None
    mean = float(np.square(numbers, dtype=np.float64).mean())
    return (mean * tensor.elements) ** 0.5 if np.isfinite(mean) and mean else None


def judge_updates(
    squares: Mapping[tuple[str, str], float], scale: float, norms: Mapping[str, float]
) -> Sequence[Reason]:
    """Compare scale·‖A‖·‖B‖, which bounds ‖scale·B·A‖, with each module's own weight.

    Args:
        squares: The sum of squares of each module's matrices `A` and `B`.
        scale: The factor on the update.
        norms: The norms of the base's weights, as far as they are known.
    """
    ratios = {
        module: scale * (square * squares.get((module, "B"), 0.0)) ** 0.5 / norms[module]
        for (module, matrix), square in squares.items()
        if matrix == "A" and module in norms
    }
    beyond = sorted((module for module, ratio in ratios.items() if ratio > MAX_RATIO), key=lambda one: -ratios[one])
    if not beyond:
        return []
    message = (
        f"The adapter's update is up to {ratios[beyond[0]]:,.0f} times as large as the base's own weights, in "
        f"{list_examples(beyond)}, and {MAX_RATIO:,.0f} times is the most: it would overflow in an engine that "
        "computes in float16, and drown the base in any. The training diverged, or lora_alpha is another than it was "
        "trained with: train again with a smaller learning rate."
    )
    return [Reason("too_large", message)]
