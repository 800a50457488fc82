"""Probe references for an adapter that was trained elsewhere."""

import os
from pathlib import Path

import msgspec

from training.manifest import Reference, digest_adapter
from training.probe import neutral_rows, probe
from training.rendering import Renderer
from training.run import read_base


def reference(base_model: Path, adapter: Path, out: Path) -> None:
    """Scores neutral conversations and writes a `Reference` as JSON, in one rename.

    Judge the adapter first: here it is loaded as it is.

    Raises:
        TrainingError: `base_model_unusable`, or `unsupported_chat_template`.
    """
    base = read_base(base_model)
    result = Reference(
        adapter_digest=digest_adapter(adapter),
        base_digest=base.digest,
        chat_template_digest=base.chat_template_digest,
        probe=probe(base_model, adapter, neutral_rows(Renderer.load(base_model)), base.parameters),
    )
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(result))
    partial.rename(out)
