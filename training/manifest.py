"""The manifest: an adapter's identity, its origin, and the proof that an engine really applies it."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from training.rendered_rows import RowPrompt
from training.spec import Recipe

__all__ = [
    "CONFIG_FILE",
    "MANIFEST_FILE",
    "WEIGHTS_FILE",
    "AdapterDigest",
    "BaseQuantization",
    "Manifest",
    "Parity",
    "Probe",
    "Reference",
    "digest_adapter",
    "read_manifest",
]

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "manifest.json"

_CHUNK_BYTES = 4 * 2**20


class Probe(msgspec.Struct, frozen=True):
    """Teacher-forced log-probabilities, computed in float32: an engine that applies the adapter reproduces them.

    Attributes:
        tokens: Token ids of a rendered conversation, up to the last scored one.
        start: Index of the first scored token (`from` in JSON).
        logprobs: The adapter's natural log-probability of each token from `start` on, given all before it.
        base_logprobs: The base model's log-probabilities of the same tokens.
    """

    tokens: list[int]
    start: int = msgspec.field(name="from")
    logprobs: list[float]
    base_logprobs: list[float]


class BaseQuantization(msgspec.Struct, frozen=True, kw_only=True):
    """The way in which a base was quantised while an adapter was trained on it.

    Attributes:
        kind: `nf4`.
        compute_dtype: The type that its numbers were multiplied in, such as `bfloat16`.
        double_quantization: Whether the scales of its blocks were quantised too.
    """

    kind: str
    compute_dtype: str
    double_quantization: bool


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """The rows whose prompt was compared, token by token, with what an engine makes of the served request.

    Attributes:
        rows: Those that were compared, by number.
        equal: How many were equal, up to the token at which the reply begins.
        tokens: The tokens of these prompts.
    """

    rows: list[int]
    equal: int
    tokens: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last file of a finished adapter's folder.

    Attributes:
        adapter_digest: See `AdapterDigest`.
        base_digest: See `training.checkpoint.digest_weights`.
        base_quantization: Of that base while the adapter was trained; None for a base as it is. The probes, and what
            engines serve, are of the base as it is in either case.
        chat_template_digest: The digest of the chat template that the rows were tokenized with.
        chat_template_kwargs: The values of the template's own names that they were tokenized with: each request for the
            adapter has to bring them.
        recipe: The recipe of the run, with its learning rate as a number.
        start_digest: The digest of the adapter that it was trained on from; None where it began with an untrained one.
        rows: Rows trained on, after dropping.
        rows_digest: SHA-256 of the file that they were read from, see `training.rendered_rows`.
        validation_rows_digest: The same of the validation rows; None without them.
        trained_tokens: Tokens that went through the model over all epochs.
        losses: Mean loss per reply token, or per pair of replies, of each step.
        best_step: The step after which the weights were as they are here: of the epoch with the lowest validation loss,
            or the last step without validation rows; None in adapters of an earlier Braid, which are of the last step.
        versions: The versions of the packages that made it.
        prompt: The prompt that its rows were rendered with; None where nobody said it.
        parity: The proof that rows are what serving sends, written by who serves; None where no engine could be asked.
    """

    adapter_digest: str
    base_digest: str
    base_name: str
    base_quantization: BaseQuantization | None = None
    chat_template_digest: str
    chat_template_kwargs: dict[str, Any] = {}
    rank: int
    recipe: Recipe
    start_digest: str | None = None
    rows: int
    rows_digest: str
    validation_rows_digest: str | None = None
    trained_tokens: int
    losses: list[float]
    best_step: int | None = None
    probe: list[Probe]
    versions: dict[str, str]
    prompt: RowPrompt | None = None
    parity: Parity | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The probes of an adapter that was trained elsewhere, written by `python -m training reference`."""

    adapter_digest: str
    base_digest: str
    chat_template_digest: str
    probe: list[Probe]


class AdapterDigest:
    """The identity of an adapter: SHA-256 over the length of its config, its config and its weights."""

    def __init__(self, config: bytes) -> None:
        self._hash = hashlib.sha256(len(config).to_bytes(8, "little") + config)

    def update(self, weights: bytes | memoryview) -> None:
        """Take the next bytes of the weights file."""
        self._hash.update(weights)

    def to_hex(self) -> str:
        return self._hash.hexdigest()


def digest_adapter(directory: Path) -> str:
    """Return the digest of an adapter's folder, 64 hex digits."""
    digest = AdapterDigest((directory / CONFIG_FILE).read_bytes())
    with (directory / WEIGHTS_FILE).open("rb") as weights:
        while chunk := weights.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.to_hex()


def read_manifest(directory: Path) -> Manifest:
    """Read a finished adapter's manifest.

    Raises:
        FileNotFoundError: The folder has none, so it was trained elsewhere or isn't finished.
        msgspec.MsgspecError: The file is no manifest.
    """
    return msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=Manifest)
