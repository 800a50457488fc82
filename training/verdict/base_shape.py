"""The shape of a base model, which an adapter has to fit."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from training.checkpoint import (
    CheckpointUnreadable,
    count_parameters,
    digest_chat_template,
    digest_weights,
    find_weight_files,
    read_chat_template,
    read_expert_counts,
    read_layer_count,
    read_quantization,
    read_tensors,
    read_vocabulary_size,
)
from training.safetensors_header import Tensor
from training.verdict.language_stack import EXPERT_COUNTS, select_language_linears
from training.verdict.magnitude import sample_norm

__all__ = ["BaseShape"]

_IN_LAYER = re.compile(r"(.*?)\.(\d+)\.(.+)")
"""A tensor's stack of layers, the layer's number, and its name in the layer."""


@dataclass(frozen=True, slots=True)
class BaseShape:
    """The linear layers of a base model, and its identity.

    Attributes:
        digest: See `training.checkpoint.digest_weights`.
        chat_template_digest: See `training.checkpoint.digest_chat_template`.
        linears: (out, in) of each linear layer by its full name, such as `model.layers.0.mlp.up_proj`, of the language
            model only, see `select_language_linears`. Embeddings and the output head are left out: vLLM refuses
            adapters for one of them, and ignores those for the other.
        parameters: Numbers in the whole model.
        norms: The Frobenius norm of each linear layer's weight, estimated from a sample, where it is a plain number.
        quantization: The method by which the weights are quantised, such as `awq`; None where they are plain numbers.
            The linear layers of such a base aren't known.
    """

    digest: str
    chat_template_digest: str
    linears: dict[str, tuple[int, int]]
    parameters: int
    norms: dict[str, float] = field(default_factory=dict[str, float])
    quantization: str | None = None

    @classmethod
    def read(cls, directory: Path) -> "BaseShape":
        """Read the headers of a checkpoint's weights, and samples of its bytes.

        Raises:
            CheckpointUnreadable: It is not a chat model in safetensors, or a layer of its config is missing.
        """
        files = {tensor: file for file in find_weight_files(directory) for tensor in read_tensors(file)}
        tensors = list(files)
        _check_layers(directory, {tensor.name for tensor in tensors})
        vocabulary = read_vocabulary_size(directory)
        matrices: dict[str, Tensor] = {}
        for tensor in tensors:
            module, _, parameter = tensor.name.rpartition(".")
            if parameter != "weight" or len(tensor.shape) != 2:
                continue
            if tensor.shape[0] == vocabulary or "embed" in module.rpartition(".")[2]:
                continue
            matrices[module] = tensor
        linears = select_language_linears(
            {module: (tensor.shape[0], tensor.shape[1]) for module, tensor in matrices.items()},
            read_layer_count(directory),
            read_expert_counts(directory, EXPERT_COUNTS),
        )
        norms = {module: sample_norm(files[matrices[module]], matrices[module]) for module in linears}
        return cls(
            digest=digest_weights(directory),
            chat_template_digest=digest_chat_template(read_chat_template(directory)),
            linears=linears,
            parameters=count_parameters(directory),
            norms={module: norm for module, norm in norms.items() if norm is not None},
            quantization=read_quantization(directory, (tensor.name for tensor in tensors)),
        )


def _check_layers(directory: Path, names: Iterable[str]) -> None:
    """Refuse weights without one of the layers in `config.json`: transformers would make it up from random numbers.

    What a layer consists of isn't known here, since architectures differ, and so may the layers of one model. So a
    layer counts as there when any tensor of it is.
    """
    count = read_layer_count(directory)
    if not count:
        return
    stacks: dict[str, dict[int, set[str]]] = {}
    for name in names:
        if match := _IN_LAYER.fullmatch(name):
            stack, number, tensor = match.groups()
            stacks.setdefault(stack, {}).setdefault(int(number), set()).add(tensor)
    # A model that sees or hears has a second stack, with another number of layers.
    missing = min((_list_missing(stack, layers, count) for stack, layers in stacks.items()), key=len, default=None)
    if missing:
        raise CheckpointUnreadable(
            f"{directory} lacks weights: its config.json has {count} layers, and there is no {missing[0]}. "
            "Fetch the model again."
        )


def _list_missing(stack: str, layers: dict[int, set[str]], count: int) -> list[str]:
    """Name the first tensor of each layer that isn't there, as the layers that are there have it."""
    present = iter(layers.values())
    common = next(present).intersection(*present)
    return [f"{stack}.{number}.{min(common, default='*')}" for number in range(count) if number not in layers]
