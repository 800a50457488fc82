"""A checkpoint, read without torch: its weight files, its chat template, and digests of both."""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

import msgspec

from training.errors import TrainingError
from training.safetensors_header import HeaderInvalid, Tensor, read_header

__all__ = [
    "CheckpointUnreadable",
    "digest_chat_template",
    "digest_weights",
    "find_weight_files",
    "read_chat_template",
    "read_layer_count",
    "read_tensors",
    "read_vocabulary_size",
]

Content = TypeVar("Content", bound=msgspec.Struct)

_SAMPLE_BYTES = 4096


class CheckpointUnreadable(TrainingError):
    """The folder is no checkpoint that can be served; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("base_model_unusable", message)


class _NamedTemplate(msgspec.Struct):
    name: str
    template: str


class _TokenizerConfig(msgspec.Struct):
    chat_template: str | list[_NamedTemplate] | None = None


class _TextConfig(msgspec.Struct):
    vocab_size: int | None = None
    num_hidden_layers: int | None = None


class _ModelConfig(msgspec.Struct):
    vocab_size: int | None = None
    num_hidden_layers: int | None = None
    text_config: _TextConfig | None = None


def find_weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint, by name.

    Raises:
        CheckpointUnreadable: There are none, or there is no `config.json`.
    """
    if not (directory / "config.json").is_file():
        raise CheckpointUnreadable(
            f"{directory} is no model: it has no config.json. Name a folder that transformers' save_pretrained wrote."
        )
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise CheckpointUnreadable(
            f"{directory} has no safetensors weights. Other formats can run code when they are opened: "
            "load the model with transformers once and save it with save_pretrained."
        )
    return files


def read_tensors(file: Path) -> list[Tensor]:
    """Return the tensors of one weight file.

    Raises:
        CheckpointUnreadable: The file is damaged.
    """
    try:
        with file.open("rb") as opened:
            return read_header(opened)
    except (HeaderInvalid, OSError) as error:
        raise _unreadable(file, error) from error


def digest_weights(directory: Path) -> str:
    """Return 64 hex digits that are equal for two checkpoints with the same weights.

    The digest covers each tensor's name, type and shape, and 4 KiB from its middle. Reading all of a large model would
    take a minute at each start, and training of any kind changes nearly every tensor everywhere; the folder is the
    operator's own, so nobody forges the rest. `config.json` is left out: other versions of transformers rewrite it.

    Raises:
        CheckpointUnreadable: See `find_weight_files` and `read_tensors`.
    """
    entries = [(tensor.name, file, tensor) for file in find_weight_files(directory) for tensor in read_tensors(file)]
    entries.sort(key=lambda entry: entry[0])
    digest = hashlib.sha256()
    for name, file, tensor in entries:
        digest.update(json.dumps([name, tensor.dtype, tensor.shape]).encode())
        middle = max(tensor.start, (tensor.start + tensor.end - _SAMPLE_BYTES) // 2)
        with file.open("rb", buffering=0) as opened:
            opened.seek(middle)
            digest.update(opened.read(min(_SAMPLE_BYTES, tensor.end - middle)))
    return digest.hexdigest()


def read_chat_template(directory: Path) -> str:
    """Return the Jinja source that turns messages into the model's own text.

    Raises:
        CheckpointUnreadable: The checkpoint has no template, so it can't chat, or a damaged one.
    """
    file = directory / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, error) from error
    template = _read(directory / "tokenizer_config.json", _TokenizerConfig).chat_template
    if isinstance(template, list):
        template = next((named.template for named in template if named.name == "default"), None)
    if not template:
        raise CheckpointUnreadable(
            f"{directory} has no chat template, so it is not a chat model. Choose its instruction-tuned version, or "
            "put the template beside its weights as chat_template.jinja."
        )
    return template


def digest_chat_template(template: str) -> str:
    """Return the SHA-256 of a template's text, 64 hex digits."""
    return hashlib.sha256(template.encode()).hexdigest()


def read_vocabulary_size(directory: Path) -> int | None:
    """Return the size in `config.json`, of the text part where the model has several; None where there is none."""
    config = _read(directory / "config.json", _ModelConfig)
    return config.text_config.vocab_size if config.text_config else config.vocab_size


def read_layer_count(directory: Path) -> int | None:
    """Return the number of layers in `config.json`, as for `read_vocabulary_size`."""
    config = _read(directory / "config.json", _ModelConfig)
    return config.text_config.num_hidden_layers if config.text_config else config.num_hidden_layers


def _read(file: Path, kind: type[Content]) -> Content:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"{file} can't be read: {error}. Fetch the model again.")
