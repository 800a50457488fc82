"""The quantised base of QLoRA: linear layers in 4 bits while an adapter is trained on them in float32, by bitsandbytes.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs": NF4, whose 16 values lie as those of a normal
distribution do, in blocks of 64 with a scale each, and these scales quantised again (double quantisation). What is
proven and served afterwards is the adapter on the base as it is.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from training.errors import TrainingError
from training.hardware import TrainingDevice, list_rooms
from training.manifest import BaseQuantization
from training.out_of_memory import is_out_of_memory

__all__ = ["check_quantization", "describe_quantization", "keep_trainable", "make_quantization_config"]

_WITHOUT = "Leave quantization out of braid.recipe to train on the base as it is"
_WIDTH = 64  # a block has as many numbers


def check_quantization(device: str) -> None:
    """Quantise a small matrix on the device that a run would take, and multiply by it: who can do that can train.

    Args:
        device: See `training.hardware.list_rooms`.

    Raises:
        TrainingError: `quantization_unavailable`, with what to do.
    """
    if find_spec("bitsandbytes") is None:
        raise TrainingError(
            "quantization_unavailable",
            "Training on a quantised base takes the package bitsandbytes, which isn't installed. The operator can "
            "bring the model environment up to date (make env-model), or put it there: "
            f".venv-model/bin/python -m pip install 'bitsandbytes>=0.50.2,<0.51'. {_WITHOUT}.",
        )
    place = list_rooms(device)[0].device
    try:
        _try_quantization(place)
    except (RuntimeError, ImportError, ValueError, NotImplementedError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            "quantization_unavailable",
            f"bitsandbytes can't quantise on {place}: {error}. The operator can name another device "
            f"(BRAID_TRAINING_DEVICE), or a version of bitsandbytes for this one. {_WITHOUT}.",
        ) from error


def make_quantization_config(hardware: TrainingDevice) -> Any:
    """Return what transformers loads a base by."""
    return cast("Any", BitsAndBytesConfig)(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=hardware.dtype,
    )


def keep_trainable(model: nn.Module) -> None:
    """Keep the layers of a quantised base as they can be trained on, whatever is measured with it in between.

    On processors with AVX512-BF16 bitsandbytes would pack a layer's weights anew in the first pass without gradients,
    for a kernel of inference: it has no gradient, rounds to bfloat16, takes widths that are multiples of 64 alone, and
    the weights stay so in all later steps.
    """
    layer: Any = import_module("bitsandbytes").nn.Linear4bit
    for module in model.modules():
        if isinstance(module, layer):
            cast("Any", module).support_avx512bf16_for_cpu = False


def describe_quantization(compute_dtype: str) -> BaseQuantization:
    """Return what a manifest says of a base that was loaded so."""
    return BaseQuantization(kind="nf4", compute_dtype=compute_dtype, double_quantization=True)


def _try_quantization(device: str) -> None:
    functional: Any = import_module("bitsandbytes").functional
    packed, state = functional.quantize_4bit(
        torch.eye(_WIDTH, device=device), quant_type="nf4", compress_statistics=True
    )
    back = functional.dequantize_4bit(packed, state)
    if not torch.allclose(back, torch.eye(_WIDTH, device=device), atol=0.1):
        raise RuntimeError("a matrix came back from it as another")
