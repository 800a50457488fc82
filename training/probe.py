"""Probes: reference log-probabilities, by which an engine shows that it applies an adapter."""

import gc
import math
import os
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from torch import Tensor, nn

from training.checkpoint import CheckpointUnreadable, read_dtype
from training.dataset import Message
from training.errors import TrainingError
from training.hardware import choose_reference_hardware
from training.manifest import Probe, Reference, digest_adapter
from training.model import load_adapted, replace_weights
from training.out_of_memory import explain_out_of_memory
from training.tokenization import RowTokenizer, TokenizedRow
from training.verdict import BaseShape

__all__ = ["PROBE_ADVICE", "Prober", "write_reference"]

PROBE_ADVICE = (
    "The operator can give the engine a smaller share of the GPU (BRAID_ENGINE_GPU_SHARE), name another device "
    "(BRAID_TRAINING_DEVICE), or end other programs."
)
"""Help where a probe has no memory; it is computed in float32, whatever the run asked for."""


_HALF = ("float16", "half")
_ROWS = 3
_POSITIONS = 48
_LONG_TOKENS = 1_000
"""Longer than where kernels change their ways (64 to 512 tokens), and short enough for an engine's spare memory: the
log-probabilities of a prompt take 8 bytes per token and word of the vocabulary, which vLLM doesn't set aside."""

_NEUTRAL = "Parcels leave on weekdays, and arrive on the third day after that. "

# For adapters whose training rows aren't known. Any text will do: only equality is tested.
_CONVERSATIONS = (
    ("When do you open?", "We open at nine in the morning and close at six in the evening, every day but Sunday."),
    (
        "Can I return it?",
        "Yes. Send it back within thirty days, unused and in its box, and we will refund the full price.",
    ),
    (
        "Here is what you told me before. " + 30 * _NEUTRAL,
        "Your parcel leaves on the next weekday, and it arrives on the third day after that.",
    ),
    ("Thank you for your help!", "You are welcome. If there is anything else that you would like to know, please ask."),
)


class Prober:
    """Scores replies of a few rows with saved adapters and without them, in float32.

    Each adapter is read back from its files, so that the scored weights are those that will be served.

    Args:
        base_model: The checkpoint folder.
        adapter: A PEFT folder, the first to be scored; others have to be of its rank and targets.
        rows: The shortest of these are taken, which every engine repeats quickly, and the end of the longest: kernels
            take other paths for long prompts, and have had faults there alone. Neutral text stands before the longest
            where it is shorter than prompts that are served.
        tokenizer: Of the rows.
        parameters: The number of the base's parameters.
        device: See `training.hardware.list_rooms`.
        engine_dtype: What the engine computes in, as vLLM names it; None or `auto` where that follows from the base.

    Raises:
        TrainingError: `out_of_memory`, `device_unavailable`.
    """

    def __init__(
        self,
        base_model: Path,
        adapter: Path,
        rows: Sequence[TokenizedRow],
        tokenizer: RowTokenizer,
        parameters: int,
        device: str = "auto",
        engine_dtype: str | None = None,
    ) -> None:
        # The trained model may still be around, as a cycle that nobody refers to.
        gc.collect()
        self._base_model = base_model
        self._hardware = choose_reference_hardware(parameters, device)
        self._model = load_adapted(base_model, adapter, self._hardware).eval()
        self._loaded: Path | None = adapter
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or _LONG_TOKENS
        # An engine adds a token to what it scores.
        self._replies = _choose_replies(rows, min(_LONG_TOKENS, positions - 1), tokenizer.encode(_NEUTRAL))
        own_dtype = read_dtype(base_model)
        dtype = own_dtype if engine_dtype in (None, "auto") else engine_dtype
        self._is_half, self._survives_half = dtype in _HALF, own_dtype == "float16"

    def compute(self, adapter: Path) -> list[Probe]:
        """Score the replies with an adapter.

        Raises:
            TrainingError: `out_of_memory`; `reference_not_finite`: with the adapter the model computes no numbers, in
                float32, or in float16 where the engine computes in that.
        """
        if self._loaded is None:
            self._model = load_adapted(self._base_model, adapter, self._hardware).eval()
            self._loaded = adapter
        elif adapter != self._loaded:
            replace_weights(self._model, self._base_model, adapter)
            self._loaded = adapter
        probes: list[Probe] = []
        for tokens, start in self._replies:
            with_adapter, plain = self._score(tokens, start)
            _check_finite(with_adapter, plain, "float32")
            probes.append(Probe(tokens=tokens, start=start, logprobs=with_adapter, base_logprobs=plain))
        if self._is_half:
            self._model = self._model.half()
            for tokens, start in self._replies:
                _check_finite(*self._score(tokens, start), "float16")
            if self._survives_half:
                self._model = self._model.float()  # exact for the base, which has no more digits
            else:
                self._loaded = None
        return probes

    def _score(self, tokens: list[int], start: int) -> tuple[list[float], list[float]]:
        with_adapter = _score(self._model, tokens, start, self._hardware.device)
        with self._model.disable_adapter():
            return with_adapter, _score(self._model, tokens, start, self._hardware.device)


def _check_finite(with_adapter: Sequence[float], plain: Sequence[float], dtype: str) -> None:
    if not all(map(math.isfinite, plain)):
        raise CheckpointUnreadable(
            f"The base model itself computes NaN or infinity in {dtype}. Its files are damaged, or it was made for "
            "bfloat16: fetch it again, or take a version in bfloat16."
        )
    if not all(map(math.isfinite, with_adapter)):
        raise TrainingError(
            "reference_not_finite",
            f"With the adapter the model computes NaN or infinity in {dtype}, and so would the engine, for everybody "
            "who uses it. Its weights are too large: train with a smaller learning rate, or a smaller lora_alpha.",
        )


def _choose_replies(rows: Sequence[TokenizedRow], longest: int, neutral: Sequence[int]) -> list[tuple[list[int], int]]:
    """Return token ids up to the last scored one, and the index of the first: short rows, then a long one.

    The long one has `longest` tokens: the last ones of the longest row, or it all behind as many `neutral` ones.
    """
    by_length = sorted(rows, key=lambda row: len(row.tokens))
    replies = [_cut_reply(row, row.loss_mask.index(True)) for row in by_length[:_ROWS]]
    row = by_length[-1]
    last = len(row.tokens) - 1 - row.loss_mask[::-1].index(True)
    while last and row.loss_mask[last - 1]:
        last -= 1
    tokens, start = _cut_reply(row, last)
    # The beginning goes, so that the reply stands behind as many tokens as there may be.
    surplus = min(max(0, len(tokens) - longest), start - 1)
    before = _fill(tokens[0], neutral, longest - len(tokens))
    if len(by_length) > _ROWS:
        replies.append((before + tokens[surplus:], len(before) + start - surplus))
    return replies


def _fill(first: int, neutral: Sequence[int], length: int) -> list[int]:
    """Return so many tokens behind the one that a prompt begins with: some models compute nonsense without it."""
    return [first, *islice(cycle(neutral), length - 1)] if length > 0 else []


def _cut_reply(row: TokenizedRow, start: int) -> tuple[list[int], int]:
    end = next((index for index in range(start, len(row.tokens)) if not row.loss_mask[index]), len(row.tokens))
    return row.tokens[: min(end, start + _POSITIONS)], start


def write_reference(
    base_model: Path, adapter: Path, out: Path, *, device: str = "auto", engine_dtype: str | None = None
) -> None:
    """Score neutral conversations with an adapter trained elsewhere, and write a `Reference` as JSON, in one rename.

    Judge the adapter first: here it is loaded as it is. `engine_dtype` is as in `Prober`.

    Raises:
        TrainingError: `base_model_unusable`, `unsupported_chat_template`, `out_of_memory` or `device_unavailable`.
    """
    base = BaseShape.read(base_model)
    tokenizer = RowTokenizer.load(base_model)
    rows = [
        row
        for number, (question, reply) in enumerate(_CONVERSATIONS, start=1)
        for row in tokenizer.tokenize(number, [Message("user", question), Message("assistant", reply)])
    ]
    with explain_out_of_memory("The proof of the adapter", PROBE_ADVICE):
        probe = Prober(base_model, adapter, rows, tokenizer, base.parameters, device, engine_dtype).compute(adapter)
    reference = Reference(
        adapter_digest=digest_adapter(adapter),
        base_digest=base.digest,
        chat_template_digest=base.chat_template_digest,
        probe=probe,
    )
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(reference))
    partial.rename(out)


def _score(model: Any, tokens: list[int], start: int, device: str) -> list[float]:
    ids = torch.tensor([tokens], device=device)
    # The head runs on the scored positions alone: on all of a long row it takes gigabytes.
    head = cast("nn.Module", model.get_output_embeddings())
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, start - 1 : -1],))
    try:
        with torch.no_grad():
            logits = cast("Tensor", model(input_ids=ids, use_cache=False).logits)[0].float()
    finally:
        hook.remove()
    logprobs = logits.log_softmax(-1).gather(-1, ids[0, start:, None])[:, 0]
    return [round(value, 6) for value in cast("list[float]", logprobs.tolist())]
