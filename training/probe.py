"""Probes: reference log-probabilities, by which an engine shows that it applies an adapter."""

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from torch import Tensor

from training.dataset import Message
from training.hardware import choose_reference_hardware
from training.manifest import Probe, Reference, digest_adapter
from training.model import load_adapted
from training.tokenization import RowTokenizer, TokenizedRow
from training.verdict import BaseShape

__all__ = ["compute_probes", "write_reference"]

_ROWS = 3
_POSITIONS = 48

# For adapters whose training rows aren't known. Any text will do: only equality is tested.
_CONVERSATIONS = (
    ("When do you open?", "We open at nine in the morning and close at six in the evening, every day but Sunday."),
    (
        "Can I return it?",
        "Yes. Send it back within thirty days, unused and in its box, and we will refund the full price.",
    ),
    ("Thank you for your help!", "You are welcome. If there is anything else that you would like to know, please ask."),
)


def compute_probes(base_model: Path, adapter: Path, rows: Sequence[TokenizedRow], parameters: int) -> list[Probe]:
    """Score the first reply of a few rows with a saved adapter and without it, in float32.

    The adapter is read back from its files, so that the scored weights are those that will be served.

    Args:
        base_model: The checkpoint folder.
        adapter: A PEFT folder.
        rows: The shortest of these are taken: they are enough, and quick for every engine to repeat.
        parameters: The number of the base's parameters.
    """
    # The trained model may still be around, as a cycle that nobody refers to.
    gc.collect()
    hardware = choose_reference_hardware(parameters)
    model = load_adapted(base_model, adapter, hardware).eval()
    probes: list[Probe] = []
    for row in sorted(rows, key=lambda row: len(row.tokens))[:_ROWS]:
        start = row.loss_mask.index(True)
        end = next((index for index in range(start, len(row.tokens)) if not row.loss_mask[index]), len(row.tokens))
        tokens = row.tokens[: min(end, start + _POSITIONS)]
        adapted = _score(model, tokens, start, hardware.device)
        with model.disable_adapter():
            plain = _score(model, tokens, start, hardware.device)
        probes.append(Probe(tokens=tokens, start=start, logprobs=adapted, base_logprobs=plain))
    return probes


def write_reference(base_model: Path, adapter: Path, out: Path) -> None:
    """Score neutral conversations with an adapter trained elsewhere, and write a `Reference` as JSON, in one rename.

    Judge the adapter first: here it is loaded as it is.

    Raises:
        TrainingError: `base_model_unusable`, or `unsupported_chat_template`.
    """
    base = BaseShape.read(base_model)
    tokenizer = RowTokenizer.load(base_model)
    rows = [
        row
        for number, (question, reply) in enumerate(_CONVERSATIONS, start=1)
        for row in tokenizer.tokenize(number, [Message("user", question), Message("assistant", reply)])
    ]
    reference = Reference(
        adapter_digest=digest_adapter(adapter),
        base_digest=base.digest,
        chat_template_digest=base.chat_template_digest,
        probe=compute_probes(base_model, adapter, rows, base.parameters),
    )
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(reference))
    partial.rename(out)


def _score(model: Any, tokens: list[int], start: int, device: str) -> list[float]:
    ids = torch.tensor([tokens], device=device)
    with torch.no_grad():
        logits = cast("Tensor", model(input_ids=ids, use_cache=False).logits)[0, start - 1 : -1].float()
    logprobs = logits.log_softmax(-1).gather(-1, ids[0, start:, None])[:, 0]
    return [round(value, 6) for value in cast("list[float]", logprobs.tolist())]
