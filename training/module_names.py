"""The names of a model's linear layers: in memory, where an adapter is trained, and on disk, where engines look.

transformers renames the modules of many models when it loads them; vLLM maps names from those of the checkpoint's
files. An adapter under the names of memory would be refused, or ignored without a word.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from training.checkpoint import CheckpointUnreadable, check_trainable
from training.errors import TrainingError
from training.verdict import BaseShape
from training.verdict.language_stack import EXPERT_COUNTS, is_router
from training.verdict.verdict import list_examples

__all__ = ["ModuleNames", "choose_modules", "map_modules"]

_VOTERS = 64


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """The linear layers of a language model, without its head, its experts' routers, and what sees or hears.

    Attributes:
        files: The names in the checkpoint's files by those in memory.
        missing: Names in memory of layers that the files don't have so.
    """

    files: dict[str, str]
    missing: list[str]

    @property
    def differ(self) -> bool:
        return any(memory != file for memory, file in self.files.items())


def choose_modules(directory: Path, base: BaseShape, targets: str | Sequence[str]) -> ModuleNames:
    """Return the layers that an adapter is put on, from the model's shape alone: no weights are read.

    Args:
        directory: The checkpoint's folder.
        base: Its shape.
        targets: `all-linear`, or the last parts of names.

    Raises:
        CheckpointUnreadable: Its config is of no model that transformers knows.
        TrainingError: `unsupported_base_model`: the engine wouldn't find the adapter's layers, or there are none.
    """
    check_trainable(directory)
    try:
        config = cast("Any", AutoConfig).from_pretrained(directory, trust_remote_code=False)
        with torch.device("meta"):
            model = cast("nn.Module", cast("Any", AutoModelForCausalLM).from_config(config, trust_remote_code=False))
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise CheckpointUnreadable(
            f"The model in {directory} can't be made from its config: {error}. Take one that transformers knows."
        ) from error
    names = map_modules(model, base.linears)
    if targets != "all-linear":
        target_files = {name: file for name, file in names.files.items() if _ends_with(name, targets)}
        names = ModuleNames(target_files, [name for name in names.missing if _ends_with(name, targets)])
    if names.missing or not names.files:
        raise TrainingError(
            "unsupported_base_model",
            f"An adapter can't be put on the base model in {directory} so that the engine finds it: "
            + (
                f"its files have no weights of that shape for {list_examples(names.missing)}. "
                if names.missing
                else f"it has none of the linear layers that were asked for ({list_examples(list(targets))}). "
            )
            + "Name other target_modules, or choose another base model.",
        )
    return names


def map_modules(model: nn.Module, linears: Mapping[str, tuple[int, int]]) -> ModuleNames:
    """Compare the linear layers of a language model with those in the files.

    Both are stacks of layers that only their prefix tells apart: the one in the files is that under which most layers
    have the same name and shape.

    Args:
        model: As transformers makes it, on any device.
        linears: (out, in) of each linear layer by its name in the files.
    """
    layers = _list_layers(model)
    votes = Counter(
        file[: len(file) - len(tail)]
        for tail, (_, shape) in islice(layers.items(), _VOTERS)
        for file, size in linears.items()
        if size == shape and (file == tail or file.endswith(f".{tail}"))
    )
    prefix = votes.most_common(1)[0][0] if votes else ""
    files = {memory: prefix + tail for tail, (memory, shape) in layers.items() if linears.get(prefix + tail) == shape}
    return ModuleNames(files, [memory for memory, _ in layers.values() if memory not in files])


def _list_layers(model: nn.Module) -> dict[str, tuple[str, tuple[int, int]]]:
    """Return the whole name and (out, in) of each linear layer of the language model, by its name in that."""
    decoder = cast("nn.Module", cast("Any", model).get_decoder())
    prefix = next(name for name, module in _name_modules(model) if module is decoder)
    config = cast("Any", model).config.get_text_config()
    experts = {count for name in EXPERT_COUNTS if (count := getattr(config, name, None)) is not None}
    layers: dict[str, tuple[str, tuple[int, int]]] = {}
    for name, module in _name_modules(decoder):
        if not isinstance(module, nn.Linear):
            continue
        if not is_router(name, module.out_features, experts):
            layers[name] = (f"{prefix}.{name}" if prefix else name, (module.out_features, module.in_features))
    return layers


def _name_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return cast("Any", model).named_modules()


def _ends_with(name: str, targets: str | Sequence[str]) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)
