"""Reference log-probabilities, by which an engine shows that it applies an adapter."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor

from training.dataset import Message
from training.hardware import reference_hardware
from training.manifest import Probe
from training.model import load_base
from training.rendering import Rendered, Renderer

_ROWS = 3
_POSITIONS = 48

_CONVERSATIONS = (
    ("When do you open?", "We open at nine in the morning and close at six in the evening, every day but Sunday."),
    (
        "Can I return it?",
        "Yes. Send it back within thirty days, unused and in its box, and we will refund the full price.",
    ),
    ("Thank you for your help!", "You are welcome. If there is anything else that you would like to know, please ask."),
)


def probe(base_model: Path, adapter: Path, rows: Sequence[Rendered], parameters: int) -> list[Probe]:
    """Scores the first reply of a few rows with a saved adapter and without it, in float32.

    The adapter is read back from its files, so that what is scored is what will be served.

    Args:
        base_model: The checkpoint folder.
        adapter: A PEFT folder.
        rows: Of these, the shortest are taken: they are enough, and quick for every engine to repeat.
        parameters: Of the base.
    """
    # The trained model may still be around, as a cycle that nobody refers to.
    gc.collect()
    hardware = reference_hardware(parameters)
    loaded: Any = PeftModel.from_pretrained(cast("Any", load_base(base_model, hardware)), str(adapter))
    model = loaded.eval()
    probes: list[Probe] = []
    for row in sorted(rows, key=lambda row: len(row.tokens))[:_ROWS]:
        start = row.learnt.index(True)
        end = next((index for index in range(start, len(row.learnt)) if not row.learnt[index]), len(row.learnt))
        tokens = row.tokens[: min(end, start + _POSITIONS)]
        adapted = _log_probabilities(model, tokens, start, hardware.device)
        with model.disable_adapter():
            plain = _log_probabilities(model, tokens, start, hardware.device)
        probes.append(Probe(tokens=tokens, start=start, logprobs=adapted, base_logprobs=plain))
    return probes


def neutral_rows(renderer: Renderer) -> list[Rendered]:
    """Conversations for adapters whose training rows aren't known. Any text will do: only equality is tested."""
    return [
        renderer.render(number, [Message("user", question), Message("assistant", reply)])
        for number, (question, reply) in enumerate(_CONVERSATIONS, start=1)
    ]


def _log_probabilities(model: Any, tokens: list[int], start: int, device: str) -> list[float]:
    ids = torch.tensor([tokens], device=device)
    with torch.no_grad():
        logits = cast("Tensor", model(input_ids=ids, use_cache=False).logits)[0, start - 1 : -1].float()
    chosen = logits.log_softmax(-1).gather(-1, ids[0, start:, None])[:, 0]
    return [round(value, 6) for value in cast("list[float]", chosen.tolist())]
