"""An adapter as the zip of a PEFT folder, which `peft` and a plain vLLM load: config, weights and a model card."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.adapters.archive import CONFIG, WEIGHTS
from gateway.artifacts import Artifacts
from gateway.errors import Conflict

__all__ = ["Export", "open_export", "write_card"]

_PART = 1 << 20
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the least that a zip can say: equal adapters make equal files


class Export(msgspec.Struct, frozen=True):
    """The parts of an archive: the weights' digest, the file's name, and the model card's text."""

    digest: str
    filename: str
    card: str


def open_export(artifacts: Artifacts, export: Export) -> Iterator[bytes]:
    """Return the parts of the archive, whose files lie at its root; nothing is compressed, since weights hardly shrink.

    Raises:
        Conflict: The files aren't in this gateway's artifacts.
    """
    folder = artifacts.locate_adapter(export.digest)
    if not all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
        raise Conflict(
            "The adapter's files aren't in the artifacts of this gateway. Ask the operator to look for them there.",
            param="id",
            code="no_weights",
        )
    return _stream(folder, export.card)


def _stream(folder: Path, card: str) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        with archive.open(zipfile.ZipInfo("README.md", _MOMENT), "w") as target:
            target.write(card.encode())
        for name in (CONFIG, WEIGHTS):
            with (
                (folder / name).open("rb") as source,
                archive.open(zipfile.ZipInfo(name, _MOMENT), "w", force_zip64=True) as target,
            ):
                while part := source.read(_PART):
                    target.write(part)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """A file that can only be written, whose bytes are taken as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def write_card(name: str, model: str, base_model: str, digest: str, rank: int, manifest: Mapping[str, Any]) -> str:
    """Write the model card: what loads it, on which base, and what its manifest tells of its training."""
    recipe: dict[str, Any] = manifest.get("recipe") or {}
    written_rows: dict[str, Any] = manifest.get("written_rows") or {}
    front = {"base_model": base_model, "library_name": "peft", "pipeline_tag": "text-generation", "tags": ["lora"]}
    head = "\n".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in front.items())
    facts = {
        "Base model": base_model,
        "Digest of the base's weights": manifest.get("base_digest"),
        "Digest of these files": digest,
        "Rank": rank,
        "Alpha": recipe.get("alpha"),
        "Epochs": recipe.get("epochs"),
        "Learning rate": recipe.get("learning_rate"),
        "Rows": manifest.get("rows"),
        "Rows that a model wrote": written_rows.get("rows"),
        "Trained tokens": manifest.get("trained_tokens"),
        "Digest of the chat template": manifest.get("chat_template_digest"),
        "Values for the chat template": manifest.get("chat_template_kwargs") or None,
    }
    table = "\n".join(f"| {key} | {_cell(value)} |" for key, value in facts.items() if value is not None)
    return f"""---
{head}
---

# {name}

A LoRA adapter, exported from Braid, where it is `{model}`.

| | |
|---|---|
{table}

It answers in its style behind the base model above, with that model's chat template, and with no other base.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("PATH OR NAME OF THE BASE MODEL")
model = PeftModel.from_pretrained(base, "THIS FOLDER")
```

```sh
vllm serve BASE --enable-lora --max-lora-rank {rank} --lora-modules {name}=THIS_FOLDER
```
"""


def _cell(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
