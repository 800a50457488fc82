"""The sizes of a base model that decide how much memory training takes, read from its headers and its config."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from training.checkpoint import CheckpointUnreadable, read_vocabulary_size
from training.verdict import BaseShape

__all__ = ["ModelSize", "read_model_size"]

_IN_LAYER = re.compile(r"(.*?)\.(\d+)\.(.+)")
_EXPERT = re.compile(r"\bexperts?\.\d+\.")


class _Experts(msgspec.Struct):
    num_experts_per_tok: int | None = None
    text_config: "_Experts | None" = None


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Numbers per model, and per token in one layer.

    Attributes:
        parameters: All of the base's.
        layers: Of the stack of layers that text goes through.
        hidden: Width of the residual stream.
        vocabulary: Rows of the output head.
        inputs: Sum of the widths of the inputs of a layer's linears that have an adapter.
        outputs: Sum of the widths of the outputs of all linears of a layer.
        widest: The widest input or output in a layer.
        adapter_linears: Linears with an adapter in a layer, those that a token goes through.
        adapter_width: Sum of inputs and outputs of every linear with an adapter in the model: times the rank these are
            the adapter's parameters.
        quantizable: Those of the parameters that a quantised base packs: of linears, but those of experts, which
            transformers keeps in one tensor.
        largest_linear: Numbers of the largest of these, which is unpacked to be multiplied by.
    """

    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    inputs: int
    outputs: int
    widest: int
    adapter_linears: int
    adapter_width: int
    quantizable: int = 0
    largest_linear: int = 0


def read_model_size(directory: Path, base: BaseShape, target_modules: str | list[str]) -> ModelSize:
    """Return the sizes of a checkpoint; of a mixture of experts those of the experts that one token goes through.

    Raises:
        CheckpointUnreadable: It has no layers with linears, or its `config.json` is damaged.
    """
    layers = _find_text_layers(base.linears)
    if not layers:
        raise CheckpointUnreadable(f"{directory} has no layers with linear modules. Choose another model.")
    largest = max(layers.values(), key=lambda linears: sum(out * width for out, width in linears.values()))
    active = _count_active_experts(directory)
    passed = _pass_one_token(largest, active)
    targets = [(name, shape) for name, shape in passed if _is_target(name, target_modules)]
    packed = [out * width for name, (out, width) in base.linears.items() if not _EXPERT.search(name)]
    everywhere = [(name, shape) for linears in layers.values() for name, shape in linears.items()]
    return ModelSize(
        parameters=base.parameters,
        layers=len(layers),
        hidden=Counter(width for _, (_, width) in passed).most_common(1)[0][0],
        vocabulary=read_vocabulary_size(directory) or 0,
        inputs=sum(width for _, (_, width) in targets),
        outputs=sum(out for _, (out, _) in passed),
        widest=max(max(shape) for _, shape in passed),
        adapter_linears=len(targets),
        adapter_width=sum(sum(shape) for name, shape in everywhere if _is_target(name, target_modules)),
        quantizable=sum(packed),
        largest_linear=max(packed, default=0),
    )


def _find_text_layers(linears: Mapping[str, tuple[int, int]]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return the linears of each layer of the largest stack; a tower that sees or hears is a smaller one."""
    stacks: dict[str, dict[int, dict[str, tuple[int, int]]]] = defaultdict(lambda: defaultdict(dict))
    for name, shape in linears.items():
        if match := _IN_LAYER.fullmatch(name):
            stacks[match[1]][int(match[2])][match[3]] = shape

    def weigh(stack: dict[int, dict[str, tuple[int, int]]]) -> int:
        return sum(out * width for linears in stack.values() for out, width in linears.values())

    return max(stacks.values(), key=weigh) if stacks else {}


def _pass_one_token(linears: Mapping[str, tuple[int, int]], active: int | None) -> list[tuple[str, tuple[int, int]]]:
    """Return the linears of a layer as often as a token goes through them."""
    passed: list[tuple[str, tuple[int, int]]] = []
    counts: Counter[str] = Counter()
    for name, shape in linears.items():
        kind = _EXPERT.sub("expert.", name)
        counts[kind] += 1
        if kind == name or active is None or counts[kind] <= active:
            passed.append((name, shape))
    return passed


def _count_active_experts(directory: Path) -> int | None:
    try:
        config = msgspec.json.decode((directory / "config.json").read_bytes(), type=_Experts)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CheckpointUnreadable(f"{directory}/config.json can't be read: {error}. Fetch the model again.") from error
    return (config.text_config or config).num_experts_per_tok


def _is_target(name: str, target_modules: str | list[str]) -> bool:
    return target_modules == "all-linear" or name.rpartition(".")[2] in target_modules
