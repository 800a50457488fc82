"""A checkpoint, read without torch: its weight files, its chat template, and digests of both."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from training.errors import TrainingError
from training.safetensors_header import HeaderInvalid, Tensor, read_header

__all__ = [
    "CheckpointUnreadable",
    "SpecialTokens",
    "check_trainable",
    "count_parameters",
    "digest_chat_template",
    "digest_weights",
    "find_weight_files",
    "is_other_format",
    "read_chat_template",
    "read_dtype",
    "read_end_ids",
    "read_expert_counts",
    "read_layer_count",
    "read_quantization",
    "read_special_tokens",
    "read_tensors",
    "read_vocabulary_size",
]

Content = TypeVar("Content")

_SAMPLE_BYTES = 4096
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files of a model that sees or hears. Its processor has a template of its own, which vLLM takes where it is there."""


class CheckpointUnreadable(TrainingError):
    """The folder is no checkpoint that can be served; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("base_model_unusable", message)


class _NamedTemplate(msgspec.Struct):
    name: str
    template: str


class _TokenizerConfig(msgspec.Struct):
    chat_template: str | list[_NamedTemplate] | None = None


class _ProcessorTemplate(msgspec.Struct):
    chat_template: str


class _TextConfig(msgspec.Struct):
    vocab_size: int | None = None
    num_hidden_layers: int | None = None
    eos_token_id: int | list[int] | None = None


class _ModelConfig(msgspec.Struct):
    vocab_size: int | None = None
    num_hidden_layers: int | None = None
    eos_token_id: int | list[int] | None = None
    text_config: _TextConfig | None = None
    quantization_config: dict[str, Any] | None = None
    dtype: str | None = None
    torch_dtype: str | None = None


class _GenerationConfig(msgspec.Struct):
    eos_token_id: int | list[int] | None = None


class _Index(msgspec.Struct):
    weight_map: dict[str, str] = {}


class _AddedToken(msgspec.Struct):
    id: int
    content: str
    special: bool = False


class _Tokenizer(msgspec.Struct):
    added_tokens: list[_AddedToken] = []


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The tokens of a tokenizer that are no part of anybody's text.

    Attributes:
        names: The text of each by its role, as chat templates name it: `bos_token`, `eos_token`, …
        texts: The texts of all of them.
        others: The texts of added tokens that aren't special; a tokenizer finds them in any text, too.
        ends: The texts of those at which the engine stops; empty where the files don't tell.
    """

    names: dict[str, str]
    texts: frozenset[str]
    others: frozenset[str]
    ends: frozenset[str]


def is_other_format(file: Path) -> bool:
    """Tell whether a file, by its path in a checkpoint, belongs to the same model in its maker's own format.

    Mistral's and Meta's stand beside those that transformers reads; vLLM would take the first for the model, with
    another tokenizer and another template.
    """
    return file.name == "params.json" or file.name.startswith("consolidated") or "original" in file.parts[:-1]


def find_weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files that a checkpoint consists of, by name.

    These are `model.safetensors`, or else those that the index lists; where there is neither, all that are there.

    Raises:
        CheckpointUnreadable: There are none, one of the index is missing, or there is no `config.json`.
    """
    if not (directory / "config.json").is_file():
        raise CheckpointUnreadable(
            f"{directory} is no model: it has no config.json. Name a folder that transformers' save_pretrained wrote."
        )
    whole, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if index.is_file():
        files = [directory / name for name in sorted(set(_read(index, _Index).weight_map.values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise CheckpointUnreadable(
                f"{directory} lacks {missing[0]}, one of {len(missing)} files that {index.name} lists and that aren't "
                "there. Fetch the model again."
            )
    else:
        files = [file for file in sorted(directory.glob("*.safetensors")) if not is_other_format(Path(file.name))]
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
        with file.open("rb") as handle:
            return read_header(handle)
    except (HeaderInvalid, OSError) as error:
        raise _unreadable(file, error) from error


def count_parameters(directory: Path) -> int:
    """Return how many numbers a checkpoint's weights are, by their headers; see `read_tensors` for what it raises."""
    return sum(tensor.elements for file in find_weight_files(directory) for tensor in read_tensors(file))


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
        with file.open("rb", buffering=0) as handle:
            handle.seek(middle)
            digest.update(handle.read(min(_SAMPLE_BYTES, tensor.end - middle)))
    return digest.hexdigest()


def read_chat_template(directory: Path) -> str:
    """Return the Jinja source that turns messages into the model's own text.

    Raises:
        CheckpointUnreadable: The checkpoint has no template, so it can't chat, or a damaged one.
    """
    legacy = directory / "chat_template.json"
    if legacy.is_file() and any((directory / name).is_file() for name in _PROCESSORS):
        return _read(legacy, _ProcessorTemplate).chat_template
    file = directory / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, error) from error
    template = _read(directory / "tokenizer_config.json", _TokenizerConfig).chat_template
    if isinstance(template, list):
        template = next((one.template for one in template if one.name == "default"), None)
    if not template:
        raise CheckpointUnreadable(
            f"{directory} has no chat template, so it is not a chat model. Choose its instruction-tuned version, or "
            "put the template beside its weights as chat_template.jinja."
        )
    return template


def digest_chat_template(template: str) -> str:
    """Return the SHA-256 of a template's text, 64 hex digits."""
    return hashlib.sha256(template.encode()).hexdigest()


def read_end_ids(directory: Path) -> frozenset[int]:
    """Return the ids of the tokens at which vLLM stops, bar the tokenizer's own `eos_token`.

    `generation_config.json` lists them where the chat's end of turn is another token than the end of text; vLLM reads
    `config.json` where there is no such file.

    Raises:
        CheckpointUnreadable: One of the files is damaged.
    """
    file = directory / "generation_config.json"
    if file.is_file():
        ends = _read(file, _GenerationConfig).eos_token_id
    else:
        config = _read(directory / "config.json", _ModelConfig)
        ends = config.eos_token_id
        if ends is None and config.text_config:
            ends = config.text_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


def read_special_tokens(directory: Path) -> SpecialTokens:
    """Read what the tokenizer's files say of its special tokens, without loading it.

    transformers adds to those of `tokenizer.json` what its own two files name.

    Raises:
        CheckpointUnreadable: One of the files is damaged.
    """
    names: dict[str, str] = {}
    special: set[str] = set()
    others = set(_read(directory / "added_tokens.json", dict[str, Any]))
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        for name, value in _read(directory / file, dict[str, Any]).items():
            if name.endswith("_token"):
                names.update((name, text) for text in _find_texts([value]))
            elif name.endswith("special_tokens"):
                special.update(_find_texts(value))
            elif name == "added_tokens_decoder":
                others.update(_find_texts(value))
                special.update(_find_texts(value, only_special=True))
    tokens = _read(directory / "tokenizer.json", _Tokenizer).added_tokens
    ids = read_end_ids(directory)
    ends = {token.content for token in tokens if token.id in ids}
    if tokens and "eos_token" in names:
        ends.add(names["eos_token"])
    special |= {token.content for token in tokens if token.special} | set(names.values())
    others |= {token.content for token in tokens}
    return SpecialTokens(names, frozenset(special), frozenset(others - special), frozenset(ends))


def _find_texts(tokens: object, *, only_special: bool = False) -> list[str]:
    """Return the texts of tokens in a list, or under any names; each is a text, or an object with its properties."""
    entries = list(cast("dict[str, Any]", tokens).values()) if isinstance(tokens, dict) else tokens
    texts: list[str] = []
    for token in cast("list[Any]", entries) if isinstance(entries, list) else []:
        fields = cast("dict[str, Any]", token) if isinstance(token, dict) else {"content": token}
        text = fields.get("content")
        if isinstance(text, str) and (fields.get("special") is True or not only_special):
            texts.append(text)
    return texts


def check_trainable(directory: Path) -> None:
    """Raise `TrainingError` (`unsupported_base_model`) for a checkpoint whose weights aren't plain numbers."""
    method = read_quantization(directory)
    if method is not None:
        raise TrainingError(
            "unsupported_base_model",
            f"The base model is quantised ({method}), and adapters are trained and proven on weights in bfloat16, "
            "float16 or float32. Take the model's version that isn't quantised; vLLM can quantise it when it loads it.",
        )


def read_quantization(directory: Path, tensors: Iterable[str] = ()) -> str | None:
    """Return the method by which the weights are quantised, such as `awq`; None where they are plain numbers.

    Args:
        directory: The checkpoint's folder; older ones name the method in a file of its maker's or nowhere.
        tensors: The names of its tensors, which then tell.
    """
    config = _read(directory / "config.json", _ModelConfig).quantization_config
    if config is not None:
        bits = "bitsandbytes" if config.get("load_in_4bit") or config.get("load_in_8bit") else "an unknown method"
        return str(config.get("quant_method") or bits)[:40]
    endings = {name.rpartition(".")[2] for name in tensors}
    packed = endings & {"qweight", "weight_packed"} or {end for end in endings if end.startswith("bitsandbytes")}
    return f"an unknown method, with tensors called {min(packed)}" if packed else None


def read_expert_counts(directory: Path, names: Iterable[str]) -> set[int]:
    """Return the numbers in `config.json` under any of some names, of the text part where the model has several."""
    config = _read(directory / "config.json", dict[str, Any])
    text = config.get("text_config")
    entries = cast("dict[str, Any]", text) if isinstance(text, dict) else config
    return {count for name in names if isinstance(count := entries.get(name), int)}


def read_dtype(directory: Path) -> str | None:
    """Return the type in `config.json`, such as `bfloat16`, which engines compute in; None where it names none."""
    config = _read(directory / "config.json", _ModelConfig)
    return config.dtype or config.torch_dtype


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
