"""The base model with a LoRA adapter on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from training.checkpoint import CheckpointUnreadable
from training.hardware import Hardware
from training.manifest import CONFIG_FILE, WEIGHTS_FILE
from training.out_of_memory import is_out_of_memory
from training.spec import Recipe
from training.tokenization import TokenizedRow

__all__ = ["AdaptedModel", "Measurement", "load_base"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of a forward pass over some rows.

    Attributes:
        loss: Sum over the reply tokens, in nats, with its gradient.
        correct: Reply tokens that were the model's first choice.
        replies: All reply tokens.
    """

    loss: Tensor
    correct: int
    replies: int


class AdaptedModel:
    """A base model whose only trainable weights are an adapter's.

    The head runs on the positions that predict a reply token, and on no others: with 49,000 words and a prompt four
    times as long as the reply it would otherwise be a third of the work. It is done in front of the head, so that
    whatever a model does behind it (scaling, soft caps) stays as it is.
    """

    def __init__(self, model: PeftModel, device: str) -> None:
        self._model = model
        self._device = device
        self._prediction_mask = torch.empty(0)
        head = cast("nn.Module", cast("Any", model).get_output_embeddings())
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0][self._prediction_mask],))

    @classmethod
    def create(
        cls,
        base_model: Path,
        recipe: Recipe,
        hardware: Hardware,
        base_name: str,
        *,
        gradient_checkpointing: bool = False,
    ) -> "AdaptedModel":
        """Load a base and put an untrained adapter on it, the same one for the same seed.

        Args:
            base_model: The checkpoint folder.
            recipe: Its rank, alpha, dropout, targets and seed decide.
            hardware: Where the model is trained, and in which type.
            base_name: Written into the adapter.
            gradient_checkpointing: Compute each layer again in the backward pass: a third more work, for a small part
                of the memory.
        """
        torch.manual_seed(recipe.seed)
        config = LoraConfig(
            r=recipe.rank,
            # PEFT writes a whole number for a whole number, and other readers expect one.
            lora_alpha=cast("int", int(recipe.alpha) if recipe.alpha.is_integer() else recipe.alpha),
            lora_dropout=recipe.dropout,
            target_modules=recipe.target_modules,
            task_type="CAUSAL_LM",
        )
        model = cast("PeftModel", get_peft_model(load_base(base_model, hardware), config))
        if gradient_checkpointing:
            # Not the reentrant kind, for which the input of the first layer would have to need a gradient.
            cast("Any", model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        # PEFT would write the path on this machine.
        cast("Any", model).peft_config["default"].base_model_name_or_path = base_name
        return cls(model, hardware.device)

    def parameters(self) -> list[nn.Parameter]:
        """Return the adapter's weights. They are float32 on any base, so that small updates aren't rounded away."""
        return [parameter for parameter in self._model.parameters() if parameter.requires_grad]

    def copy_weights(self) -> list[Tensor]:
        """Return a copy of the adapter's weights, in the machine's memory and not the device's."""
        return [parameter.detach().to("cpu", copy=True) for parameter in self.parameters()]

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        """Put back what `copy_weights` returned."""
        with torch.no_grad():
            for parameter, before in zip(self.parameters(), weights, strict=True):
                parameter.copy_(before)

    def train(self, on: bool) -> None:
        """Switch dropout on or off."""
        self._model.train(on)

    def measure(self, rows: Sequence[TokenizedRow]) -> Measurement:
        """Run rows through the model together."""
        width = max(len(row.tokens) for row in rows)
        tokens = _pad([row.tokens for row in rows], width).to(self._device)
        loss_mask = _pad([row.loss_mask for row in rows], width).to(self._device, torch.bool)
        # A position predicts the token after it.
        self._prediction_mask = loss_mask.roll(-1, dims=1)
        # Padding stands on the right, where causal attention never looks: no mask is needed, and without one the
        # fastest attention kernel applies.
        logits = cast("Tensor", self._model(input_ids=tokens, use_cache=False).logits).float()
        targets = tokens[loss_mask]
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return Measurement(loss, int((logits.argmax(-1) == targets).sum()), len(targets))

    def save(self, directory: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`."""
        self._model.save_pretrained(str(directory), save_embedding_layers=False)
        # A model card with blanks to fill in is no part of an adapter.
        (directory / "README.md").unlink(missing_ok=True)
        # PEFT writes a set in the order of its hashes, and the same run would get another digest each time.
        config = msgspec.json.decode((directory / CONFIG_FILE).read_bytes(), type=dict[str, Any])
        config["target_modules"] = sorted(config["target_modules"])
        (directory / CONFIG_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(config)))
        # safetensors writes for the owner alone; an engine may run as another user.
        (directory / WEIGHTS_FILE).chmod(0o644)


def load_base(base_model: Path, hardware: Hardware) -> nn.Module:
    """Load a checkpoint as it will be trained on, without running code from it.

    Raises:
        CheckpointUnreadable: It is of a kind that transformers doesn't know, or its files contradict each other.
    """
    try:
        model = cast("Any", AutoModelForCausalLM).from_pretrained(
            base_model, dtype=hardware.dtype, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointUnreadable(
            f"The model in {base_model} can't be loaded: {error}. Fetch it again, or take one that transformers knows."
        ) from error
    return cast("nn.Module", model.to(hardware.device))


def _pad(rows: Iterable[Sequence[int] | Sequence[bool]], width: int) -> Tensor:
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
