"""The memory that a run will take, forecast before anything is loaded, and the cheapest way to fit into what is free.

The forecast counts what autograd saves for the backward pass of a decoder with PEFT's LoRA. Each adapter casts its
input to float32 and keeps the copy, which is nearly half of a large model's activations in bfloat16.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.model_size import ModelSize
from training.spec import Recipe

__all__ = ["GIB", "Demand", "Load", "MemoryForecast", "MemoryPlan", "forecast_memory"]

GIB = 2**30

_FLOAT32 = 4
_ADAPTER_BYTES = 20  # weights, gradients, AdamW's two moments, and a step's temporary copy; all in float32
_PACKED_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # NF4: 4 bits, a byte of scale per 64 numbers, a scale per 256 scales
_NORM_COPIES = 8  # two norms per layer keep their input in float32
_SAVED_OUTPUTS = 1.5  # what attention and the gated product keep, in outputs of the layer's linears
_BACKWARD_COPIES = 12  # a widest layer's gradients in both types while they are added up
_UNPACKED = 2  # copies of the largest linear: as it is unpacked, and while its gradient is multiplied
_OVERHEAD = GIB  # kernels, workspaces, and memory that the allocator holds between two sizes


@dataclass(frozen=True, slots=True)
class Load:
    """The largest part of a batch that goes through the model at once: its tokens with padding, and its replies'."""

    tokens: int
    replies: int


@dataclass(frozen=True, slots=True)
class MemoryForecast:
    """Bytes at the peak of a run, by what they are for."""

    weights: int
    adapter: int
    activations: int
    logits: int
    overhead: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.logits + self.overhead

    def __str__(self) -> str:
        parts = {
            "weights": self.weights,
            "adapter and optimizer": self.adapter,
            "activations": self.activations,
            "logits": self.logits,
            "overhead": self.overhead,
        }
        return ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts.items())


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A way to run.

    Attributes:
        micro_batch_tokens: The recipe's, or fewer: a step's gradient is the same sum over its rows either way.
        gradient_checkpointing: Whether layers are computed again in the backward pass instead of being stored.
    """

    micro_batch_tokens: int
    gradient_checkpointing: bool
    forecast: MemoryForecast


def forecast_memory(
    size: ModelSize,
    load: Load,
    *,
    rank: int,
    item_bytes: int,
    dropout: bool,
    gradient_checkpointing: bool,
    quantized: bool = False,
) -> MemoryForecast:
    """Return the forecast of one way to run.

    Args:
        size: Of the base model.
        load: The largest part that goes through it.
        rank: Of the adapter.
        item_bytes: The size of a number of the base weights on the device, of a quantised base when it is unpacked.
        dropout: Whether there is any.
        gradient_checkpointing: See `MemoryPlan`.
        quantized: Whether the base is quantised, see `training.quantization`.
    """
    packed = size.quantizable if quantized else 0
    weights = int(packed * _PACKED_BYTES) + (size.parameters - packed) * item_bytes
    copies = size.inputs * (_FLOAT32 + (_FLOAT32 + 1 if dropout else 0)) + _FLOAT32 * rank * size.adapter_linears
    layer = copies + int(item_bytes * _SAVED_OUTPUTS * size.outputs) + _NORM_COPIES * size.hidden
    activations = size.layers * layer
    if gradient_checkpointing:
        activations = min(activations, size.layers * item_bytes * size.hidden + layer)
    # In bfloat16 the logits, then as float32, as log-probabilities, their gradient, and that in bfloat16.
    word = 3 * _FLOAT32 + 2 * item_bytes
    return MemoryForecast(
        weights=weights,
        adapter=size.adapter_width * rank * _ADAPTER_BYTES,
        activations=load.tokens * (activations + _BACKWARD_COPIES * size.widest),
        logits=load.replies * size.vocabulary * word,
        overhead=_OVERHEAD + (_UNPACKED * size.largest_linear * item_bytes if quantized else 0),
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """A run's part of the forecast: everything but the device.

    Attributes:
        size: Of the base model.
        recipe: Its `micro_batch_tokens` is the most that goes through the model at once.
        measure_load: Returns the largest part when parts have at most so many tokens; more tokens, never less load.
        sequences: Of a row, that go through the model together: a preference has 2.
    """

    size: ModelSize
    recipe: Recipe
    measure_load: Callable[[int], Load]
    sequences: int = 1

    def list_plans(self, item_bytes: int) -> Iterator[MemoryPlan]:
        """List the ways to run, the fastest first; `item_bytes` is the size of a number of the base weights.

        Smaller parts come before checkpointing, which computes each layer's forward pass twice; both together come
        last.
        """
        smallest = self.measure_load(1)
        for gradient_checkpointing in (False, True):
            tokens, before = self.recipe.micro_batch_tokens, None
            while before != smallest:
                load = self.measure_load(tokens)
                if load != before:
                    yield MemoryPlan(
                        tokens, gradient_checkpointing, self._forecast(load, item_bytes, gradient_checkpointing)
                    )
                tokens, before = max(1, tokens // 2), load

    def choose_plan(self, item_bytes: int, free: int) -> MemoryPlan | None:
        """Return the fastest way to run in so many bytes, or None."""
        return next((plan for plan in self.list_plans(item_bytes) if plan.forecast.total <= free), None)

    def choose_smallest_plan(self, item_bytes: int) -> MemoryPlan:
        """Return the way to run that takes the least memory."""
        return min(self.list_plans(item_bytes), key=lambda plan: plan.forecast.total)

    def find_length(self, item_bytes: int, free: int) -> int:
        """Return the most tokens that a sequence of a row may have to fit into so many bytes; 0 where none does."""
        smallest = self.measure_load(1)
        low, high = 0, smallest.tokens
        while low < high:
            middle = (low + high + 1) // 2
            load = Load(middle, min(middle, smallest.replies))
            if self._forecast(load, item_bytes, gradient_checkpointing=True).total <= free:
                low = middle
            else:
                high = middle - 1
        return low // self.sequences

    def _forecast(self, load: Load, item_bytes: int, gradient_checkpointing: bool) -> MemoryForecast:
        return forecast_memory(
            self.size,
            load,
            rank=self.recipe.rank,
            item_bytes=item_bytes,
            dropout=self.recipe.dropout > 0,
            gradient_checkpointing=gradient_checkpointing,
            quantized=self.recipe.quantization is not None,
        )
