"""The base model with a LoRA adapter on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft import set_peft_model_state_dict as _set_state  # pyright: ignore[reportUnknownVariableType]
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from training.checkpoint import CheckpointUnreadable
from training.errors import TrainingError
from training.hardware import TrainingDevice
from training.manifest import CONFIG_FILE, WEIGHTS_FILE
from training.module_names import ModuleNames, choose_modules, map_modules
from training.out_of_memory import is_out_of_memory
from training.quantization import keep_trainable, make_quantization_config
from training.spec import Recipe
from training.tokenization import TokenizedRow
from training.verdict import BaseShape
from training.verdict.config import AdapterConfig

__all__ = ["AdaptedModel", "Measurement", "load_adapted", "load_base", "replace_weights"]

_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of a forward pass over some rows.

    Attributes:
        loss: Sum over the reply tokens (of preferences, over the pairs), in nats, with its gradient.
        correct: Reply tokens that were the model's first choice (pairs whose better reply has the higher reward).
        replies: All reply tokens (pairs).
        margin: Of preferences, the sum of the rewards' differences, better minus worse.
    """

    loss: Tensor
    correct: int
    replies: int
    margin: float = 0.0


class AdaptedModel:
    """A base model whose only trainable weights are an adapter's.

    The head runs on the positions that predict a reply token, and on no others: with 49,000 words and a prompt four
    times as long as the reply it would otherwise be a third of the work. It is done in front of the head, so that
    whatever a model does behind it (scaling, soft caps) stays as it is.
    """

    def __init__(self, model: PeftModel, device: str, modules: ModuleNames) -> None:
        self._model = model
        self._device = device
        self._modules = modules
        # Some models that see want to know which tokens are a picture's when they are trained: none is.
        self._wants_types = "token_type_ids" in signature(cast("Any", model).get_base_model().forward).parameters
        self._prediction_mask = torch.empty(0)
        head = cast("nn.Module", cast("Any", model).get_output_embeddings())
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0][self._prediction_mask],))

    @classmethod
    def create(
        cls,
        base_model: Path,
        recipe: Recipe,
        hardware: TrainingDevice,
        base_name: str,
        *,
        start: Path | None = None,
        gradient_checkpointing: bool = False,
    ) -> "AdaptedModel":
        """Load a base and put an adapter on it: an untrained one, the same for the same seed, or `start`'s weights.

        Args:
            base_model: The checkpoint folder.
            recipe: Its rank, alpha, dropout, targets and seed decide.
            hardware: Where the model is trained, and in which type.
            base_name: Written into the adapter.
            start: The folder of an adapter for this base, with the rank and the targets of the recipe.
            gradient_checkpointing: Compute each layer again in the backward pass: a third more work, for a small part
                of the memory.

        Raises:
            TrainingError: See `choose_modules` and `load_base`; `start_unusable`: `start` has other weights.
        """
        modules = choose_modules(base_model, BaseShape.read(base_model), recipe.target_modules)
        torch.manual_seed(recipe.seed)
        config = LoraConfig(
            r=recipe.rank,
            # PEFT writes a whole number for a whole number, and other readers expect one.
            lora_alpha=cast("int", int(recipe.alpha) if recipe.alpha.is_integer() else recipe.alpha),
            lora_dropout=recipe.dropout,
            target_modules=sorted(modules.files),
            task_type="CAUSAL_LM",
        )
        base = load_base(base_model, hardware, quantized=recipe.quantization is not None)
        model = cast("PeftModel", get_peft_model(base, config))
        if gradient_checkpointing:
            # Not the reentrant kind, for which the input of the first layer would have to need a gradient.
            cast("Any", model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        # PEFT would write the path on this machine.
        cast("Any", model).peft_config["default"].base_model_name_or_path = base_name
        if start is not None:
            _set_weights(model, _read_tensors(start, modules))
        return cls(model, hardware.device, modules)

    @property
    def device(self) -> torch.device:
        return torch.device(self._device)

    def list_parameters(self) -> list[nn.Parameter]:
        """Return the adapter's weights. They are float32 on any base, so that small updates aren't rounded away."""
        return [parameter for parameter in self._model.parameters() if parameter.requires_grad]

    def copy_weights(self) -> list[Tensor]:
        """Return a copy of the adapter's weights, in the machine's memory and not the device's."""
        return [parameter.detach().to("cpu", copy=True) for parameter in self.list_parameters()]

    def set_weights(self, weights: Sequence[Tensor]) -> None:
        """Put back what `copy_weights` returned."""
        with torch.no_grad():
            for parameter, before in zip(self.list_parameters(), weights, strict=True):
                parameter.copy_(before)

    def train(self, on: bool) -> None:
        """Switch dropout on or off."""
        self._model.train(on)

    def measure(self, rows: Sequence[TokenizedRow]) -> Measurement:
        """Run rows through the model together."""
        logits, targets, _ = self._predict(rows)
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return Measurement(loss, int((logits.argmax(-1) == targets).sum()), len(targets))

    def score(self, rows: Sequence[TokenizedRow]) -> Tensor:
        """Return the log-probability of each row's reply, in nats, with its gradient: a tensor of as many as rows."""
        logits, targets, owners = self._predict(rows)
        logprobs = -nn.functional.cross_entropy(logits, targets, reduction="none")
        return torch.zeros(len(rows), device=logprobs.device).index_add(0, owners, logprobs)

    def _predict(self, rows: Sequence[TokenizedRow]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits for all reply tokens, these tokens' ids, and the row that each is from."""
        width = max(len(row.tokens) for row in rows)
        tokens = _pad([row.tokens for row in rows], width).to(self._device)
        loss_mask = _pad([row.loss_mask for row in rows], width).to(self._device, torch.bool)
        # A position predicts the token after it.
        self._prediction_mask = loss_mask.roll(-1, dims=1)
        # Padding stands on the right, where causal attention never looks: no mask is needed, and without one the
        # fastest attention kernel applies.
        types = {"token_type_ids": torch.zeros_like(tokens)} if self._wants_types else {}
        logits = cast("Tensor", self._model(input_ids=tokens, use_cache=False, **types).logits).float()
        return logits, tokens[loss_mask], loss_mask.nonzero()[:, 0]

    def save(self, directory: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`, under the names that engines look for."""
        self._model.save_pretrained(str(directory), save_embedding_layers=False)
        if self._modules.differ:
            _rename_tensors(directory / WEIGHTS_FILE, self._modules.files)
        # A model card with blanks to fill in is no part of an adapter.
        (directory / "README.md").unlink(missing_ok=True)
        config = msgspec.json.decode((directory / CONFIG_FILE).read_bytes(), type=dict[str, Any])
        config["target_modules"] = sorted({name.rpartition(".")[2] for name in self._modules.files})
        (directory / CONFIG_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(config)))
        # safetensors writes for the owner alone; an engine may run as another user.
        (directory / WEIGHTS_FILE).chmod(0o644)


def load_adapted(base_model: Path, adapter: Path, hardware: TrainingDevice) -> Any:
    """Load a base with the files of an adapter that passed the verdict on it.

    Their names are those of the base's files. The modules are those that there are weights for, as engines have it: its
    config may name them by regular expressions, which could take any time. What it began with says nothing any more.

    Raises:
        CheckpointUnreadable: See `load_base`.
    """
    model = load_base(base_model, hardware)
    tensors = _read_tensors(adapter, map_modules(model, BaseShape.read(base_model).linears))
    meant = msgspec.json.decode((adapter / CONFIG_FILE).read_bytes(), type=AdapterConfig)
    config = LoraConfig(
        r=meant.r,
        lora_alpha=cast("int", meant.lora_alpha),
        use_rslora=meant.use_rslora,
        target_modules=sorted({_module_of(name) for name in tensors}),
        task_type="CAUSAL_LM",
        inference_mode=True,
    )
    peft_model: Any = cast("Any", get_peft_model)(model, config)
    _set_state(peft_model, tensors)
    return peft_model


def replace_weights(peft_model: Any, base_model: Path, adapter: Path) -> None:
    """Put the weights of another adapter of the same rank and targets on a model that `load_adapted` returned."""
    config = msgspec.json.decode((adapter / CONFIG_FILE).read_bytes(), type=dict[str, Any])
    modules = choose_modules(base_model, BaseShape.read(base_model), config["target_modules"])
    _set_state(peft_model, _read_tensors(adapter, modules))


def load_base(base_model: Path, hardware: TrainingDevice, *, quantized: bool = False) -> nn.Module:
    """Load a checkpoint as it will be trained on, without running code from it.

    Args:
        base_model: The checkpoint folder.
        hardware: Where it goes, and in which type.
        quantized: Whether its linear layers are packed into 4 bits, see `training.quantization`.

    Raises:
        CheckpointUnreadable: It is of a kind that transformers doesn't know, or its files contradict each other.
    """
    options: dict[str, Any] = {}
    if quantized:
        options = {"quantization_config": make_quantization_config(hardware), "device_map": {"": hardware.device}}
    try:
        model = cast("Any", AutoModelForCausalLM).from_pretrained(
            base_model, dtype=hardware.dtype, use_safetensors=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointUnreadable(
            f"The model in {base_model} can't be loaded: {error}. Fetch it again, or take one that transformers knows."
        ) from error
    if not quantized:
        return cast("nn.Module", model.to(hardware.device))
    keep_trainable(model)
    return cast("nn.Module", model)


def _set_weights(model: PeftModel, tensors: dict[str, Tensor]) -> None:
    trainable = sum(parameter.requires_grad for parameter in model.parameters())
    if len(tensors) != trainable:
        raise TrainingError(
            "start_unusable",
            f"The adapter to start from has {len(tensors)} weights, and its targets are {trainable}: some modules "
            "would begin untrained. Start from an adapter that was trained here, or from the base model.",
        )
    _set_state(model, tensors)


def _read_tensors(adapter: Path, modules: ModuleNames) -> dict[str, Tensor]:
    """Read an adapter's weights, by the names that their modules have in memory."""
    memory = {file: name for name, file in modules.files.items()}
    return {_rename(name, memory): tensor for name, tensor in load_file(adapter / WEIGHTS_FILE).items()}


def _rename_tensors(file: Path, names: Mapping[str, str]) -> None:
    tensors = {_rename(name, names): tensor for name, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def _rename(tensor: str, names: Mapping[str, str]) -> str:
    """Return a tensor's name with its module renamed: `base_model.model.` + module + `.lora_A.weight`."""
    module = _module_of(tensor)
    return tensor.replace(module, names.get(module, module), 1) if module else tensor


def _module_of(tensor: str) -> str:
    return tensor.removeprefix(_PREFIX).rpartition(".lora_")[0]


def _pad(rows: Iterable[Sequence[int] | Sequence[bool]], width: int) -> Tensor:
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
