"""The shape of a base model, which an adapter has to fit."""

from dataclasses import dataclass
from pathlib import Path

from training.checkpoint import (
    digest_chat_template,
    digest_weights,
    find_weight_files,
    read_chat_template,
    read_tensors,
    read_vocabulary_size,
)

__all__ = ["BaseShape"]


@dataclass(frozen=True, slots=True)
class BaseShape:
    """The linear layers of a base model, and its identity.

    Attributes:
        digest: See `training.checkpoint.digest_weights`.
        chat_template_digest: See `training.checkpoint.digest_chat_template`.
        linears: (out, in) of each linear layer by its full name, such as `model.layers.0.mlp.up_proj`. Embeddings and
            the output head are left out: vLLM refuses adapters for one of them, and ignores those for the other.
        parameters: Numbers in the whole model.
    """

    digest: str
    chat_template_digest: str
    linears: dict[str, tuple[int, int]]
    parameters: int

    @classmethod
    def read(cls, directory: Path) -> "BaseShape":
        """Read the headers of a checkpoint's weights, and samples of its bytes.

        Raises:
            CheckpointUnreadable: It is not a chat model in safetensors.
        """
        tensors = [tensor for file in find_weight_files(directory) for tensor in read_tensors(file)]
        vocabulary = read_vocabulary_size(directory)
        linears: dict[str, tuple[int, int]] = {}
        for tensor in tensors:
            module, _, parameter = tensor.name.rpartition(".")
            if parameter != "weight" or len(tensor.shape) != 2:
                continue
            if tensor.shape[0] == vocabulary or "embed" in module.rpartition(".")[2]:
                continue
            linears[module] = (tensor.shape[0], tensor.shape[1])
        return cls(
            digest=digest_weights(directory),
            chat_template_digest=digest_chat_template(read_chat_template(directory)),
            linears=linears,
            parameters=sum(tensor.elements for tensor in tensors),
        )
