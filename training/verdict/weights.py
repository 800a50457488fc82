"""The adapter's weights: do they fit the base, are they finite, do they do anything?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from training.manifest import AdapterDigest
from training.safetensors_header import Tensor
from training.verdict.base_shape import BaseShape
from training.verdict.config import AdapterConfig
from training.verdict.magnitude import judge_updates, sum_squares
from training.verdict.verdict import Reason, list_examples

__all__ = ["MAX_MAGNITUDE", "Pairs", "check_names", "read_weights"]

MAX_MAGNITUDE = 100.0
"""Limit of a weight. Trained ones stay below 1; finite but huge ones overflow in the engine and do what NaN does."""

_PREFIX = "base_model.model."
_CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class _Layout:
    """A type's bits as unsigned integers, whose order without the sign bit is that of the magnitudes."""

    bits: type[np.unsignedinteger]
    magnitude: int
    infinity: int
    limit: int


# The limits are the bits of MAX_MAGNITUDE in each type; numpy has no bfloat16, which is the upper half of a float32.
_LAYOUTS = {
    "F32": _Layout(np.uint32, 0x7FFFFFFF, 0x7F800000, int(np.float32(MAX_MAGNITUDE).view(np.uint32))),
    "F16": _Layout(np.uint16, 0x7FFF, 0x7C00, int(np.float16(MAX_MAGNITUDE).view(np.uint16))),
    "BF16": _Layout(np.uint16, 0x7FFF, 0x7F80, int(np.float32(MAX_MAGNITUDE).view(np.uint32)) >> 16),
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of matrices that a file's tensors are by their names.

    Attributes:
        modules: The base's modules that have an A or a B.
        reasons: All faults of names, types, pairs and shapes.
    """

    modules: list[str]
    reasons: list[Reason]


def check_names(tensors: Sequence[Tensor], config: AdapterConfig, base: BaseShape) -> Pairs:
    """Compare the header of the weights with the config and the base."""
    pairs: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    unknown: list[str] = []
    vocabulary: list[str] = []
    for tensor in tensors:
        module, matrix = _split(tensor.name)
        if module in base.linears and matrix:
            pairs[module][matrix] = tensor
        elif not _VOCABULARY.isdisjoint(tensor.name.split(".")):
            vocabulary.append(tensor.name)
        else:
            unknown.append(tensor.name)
    faults = {
        "unknown_module": unknown,
        "incomplete_pair": [module for module, matrices in pairs.items() if len(matrices) != 2],
        "wrong_shape": [
            tensor.name
            for module, matrices in pairs.items()
            for matrix, tensor in matrices.items()
            if tensor.shape != _expect_shape(matrix, config.r, base.linears[module])
        ],
        "weights_invalid": [tensor.name for tensor in tensors if tensor.dtype not in _LAYOUTS],
        "contradictory_targets": _find_contradictions(list(pairs), config, base),
    }
    reasons = [Reason(code, f"{_MEANINGS[code]}: {list_examples(names)}.") for code, names in faults.items() if names]
    if vocabulary:
        reasons.append(Reason("unknown_module", f"{_OF_VOCABULARY} Its tensors: {list_examples(vocabulary)}."))
    if not tensors:
        reasons.append(Reason("no_effect", "The adapter has no tensors, so it would change nothing. Train it again."))
    return Pairs(sorted(pairs), reasons)


_VOCABULARY = frozenset({"embed_tokens", "lm_head"})
_OF_VOCABULARY = (
    "The adapter changes or carries the base's embedding or output layer, which engines don't adapt: it would be "
    "served without that. Train with neither embed_tokens nor lm_head in target_modules and modules_to_save, and "
    "without new tokens; where PEFT has only copied them, save with save_embedding_layers=False."
)
_MEANINGS = {
    "unknown_module": "The adapter has tensors for modules that the base model doesn't have, or that the engine does "
    "not adapt; they would be ignored without a word. Was it trained on this base, with PEFT's own names",
    "incomplete_pair": "The adapter has only one of lora_A and lora_B for some modules. Save it again",
    "wrong_shape": "The adapter has tensors whose shape fits neither its rank nor the base model. Was it trained on "
    "this base",
    "weights_invalid": "The adapter has tensors that are not F32, F16 or BF16. Save it in one of these",
    "contradictory_targets": "target_modules and the weights name different modules. Save the adapter with PEFT again, "
    "or write the modules that were trained",
}


def _split(name: str) -> tuple[str, str]:
    """Return (`model.layers.0.mlp.up_proj`, `A`) of a tensor's name; empty where it isn't named as PEFT names them."""
    for matrix in ("A", "B"):
        ending = f".lora_{matrix}.weight"
        if name.startswith(_PREFIX) and name.endswith(ending):
            return name[len(_PREFIX) : -len(ending)], matrix
    return "", ""


def _expect_shape(matrix: str, rank: int, linear: tuple[int, int]) -> tuple[int, int]:
    return (rank, linear[1]) if matrix == "A" else (linear[0], rank)


def _find_contradictions(modules: list[str], config: AdapterConfig, base: BaseShape) -> list[str]:
    unnamed = [module for module in modules if not config.targets(module)]
    if not isinstance(config.target_modules, list):
        return unnamed
    # PEFT writes the names that it was given, also those that the base doesn't have or that it left out on request;
    # these do no harm.
    weightless = [
        name
        for name in config.target_modules
        if not any(module == name or module.endswith(f".{name}") for module in modules)
        and any(
            (linear == name or linear.endswith(f".{name}")) and not config.excludes(linear) for linear in base.linears
        )
    ]
    return unnamed + weightless


def read_weights(
    file: BinaryIO, tensors: Sequence[Tensor], digest: AdapterDigest, scale: float, norms: Mapping[str, float]
) -> list[Reason]:
    """Read the file once, in pieces: feed the digest, and look at each number.

    It is read and not mapped into memory, because a mapped file that somebody shortens ends the whole process.

    Args:
        file: Open, and its header checked.
        tensors: All of its tensors, in the order of their bytes.
        digest: Takes every byte, from the first of the header on.
        scale: The factor on the update.
        norms: The norms of the base's weights, see `BaseShape`.

    Raises:
        OSError: The file became shorter meanwhile.
    """
    file.seek(0)
    digest.update(_read(file, tensors[0].start))
    not_finite: list[str] = []
    too_large: list[str] = []
    squares: dict[tuple[str, str], float] = {}
    for tensor in tensors:
        square = 0.0
        largest = 0
        layout = _LAYOUTS[tensor.dtype]
        for start in range(tensor.start, tensor.end, _CHUNK_BYTES):
            chunk = _read(file, min(_CHUNK_BYTES, tensor.end - start))
            digest.update(chunk)
            numbers: NDArray[np.unsignedinteger] = np.frombuffer(chunk, layout.bits)
            largest = max(largest, int((numbers & layout.bits(layout.magnitude)).max()))
            square += sum_squares(chunk, tensor.dtype) if largest <= layout.limit else 0.0
        if largest >= layout.infinity:
            not_finite.append(tensor.name)
        elif largest > layout.limit:
            too_large.append(tensor.name)
        if largest:
            squares[_split(tensor.name)] = square
    effect = any((module, "B") in squares for module, matrix in squares if matrix == "A")
    reasons = _judge_numbers(not_finite, too_large, effect)
    return reasons or [*judge_updates(squares, scale, norms)]


def _judge_numbers(not_finite: list[str], too_large: list[str], effect: bool) -> list[Reason]:
    reasons: list[Reason] = []
    if not_finite:
        message = (
            f"The adapter has numbers that are NaN or infinite, in {list_examples(not_finite)}. They would spoil the "
            "answers of everybody on that engine. The training diverged: train again with a smaller learning rate."
        )
        reasons.append(Reason("not_finite", message))
    if too_large:
        message = (
            f"The adapter has numbers beyond ±{MAX_MAGNITUDE:g}, in {list_examples(too_large)}. They overflow in the "
            "engine. The training diverged: train again with a smaller learning rate."
        )
        reasons.append(Reason("too_large", message))
    if not effect:
        message = (
            "In each module all of lora_A or all of lora_B is zero, so the adapter changes nothing. It was saved "
            "before it was trained: train it."
        )
        reasons.append(Reason("no_effect", message))
    return reasons


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise OSError("the file became shorter while it was read")
    return content
