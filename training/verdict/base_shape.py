"""What of a base model an adapter has to fit."""

from pathlib import Path

import msgspec

from training.checkpoint import (
    chat_template,
    chat_template_digest,
    read_tensors,
    vocabulary_size,
    weight_files,
    weights_digest,
)


class BaseShape(msgspec.Struct, frozen=True):
    """The linear layers of a base model, and its identity.

    Attributes:
        digest: See `training.checkpoint.weights_digest`.
        chat_template_digest: See `training.checkpoint.chat_template_digest`.
        linears: (out, in) of each linear layer by its full name, such as `model.layers.0.mlp.up_proj`. Embeddings and
            the output head are left out: vLLM refuses adapters for one of them, and ignores those for the other.
        parameters: Of the whole model.
    """

    digest: str
    chat_template_digest: str
    linears: dict[str, tuple[int, int]]
    parameters: int

    @classmethod
    def read(cls, directory: Path) -> "BaseShape":
        """Reads the headers of a checkpoint's weights, and samples of its bytes.

        Raises:
            CheckpointUnreadable: It is not a chat model in safetensors.
        """
        tensors = [tensor for file in weight_files(directory) for tensor in read_tensors(file)]
        vocabulary = vocabulary_size(directory)
        linears: dict[str, tuple[int, int]] = {}
        for tensor in tensors:
            module, _, parameter = tensor.name.rpartition(".")
            if parameter != "weight" or len(tensor.shape) != 2:
                continue
            if tensor.shape[0] == vocabulary or "embed" in module.rpartition(".")[2]:
                continue
            linears[module] = (tensor.shape[0], tensor.shape[1])
        return cls(
            digest=weights_digest(directory),
            chat_template_digest=chat_template_digest(chat_template(directory)),
            linears=linears,
            parameters=sum(tensor.elements for tensor in tensors),
        )
