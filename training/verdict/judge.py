"""The judge of an adapter's folder."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import msgspec

from training.manifest import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE, AdapterDigest, Manifest
from training.safetensors_header import HeaderInvalid, read_header
from training.verdict.base_shape import BaseShape
from training.verdict.config import AdapterConfig, check_config, describe_base_name, read_config
from training.verdict.folder import check_folder, open_plain, read_plain
from training.verdict.verdict import Reason, Verdict
from training.verdict.weights import check_names, read_weights

__all__ = ["judge"]

_MAX_CONFIG_BYTES = 2**20
_MAX_MANIFEST_BYTES = 64 * 2**20


def judge(directory: Path, base: BaseShape, *, max_rank: int, base_names: Collection[str] = ()) -> Verdict:
    """Judge an adapter without torch. Its size bounds the time, and nothing in its folder raises an error.

    Args:
        directory: The adapter's own folder, in which nobody writes any more.
        base: The base model that the engines serve.
        max_rank: The engines' `--max-lora-rank`.
        base_names: The names of the base: an adapter without a manifest that calls its own otherwise gets a note.
            Makers write down a copy's name, a quantised version's or a path; its shape tells whether it fits.
    """
    # The base's own fault goes first: nothing that is wrong with the adapter can be told without the base's layers.
    reasons = _check_base(base) or check_folder(directory)
    if reasons:
        return Verdict(ok=False, reasons=reasons)
    try:
        text = read_plain(directory / CONFIG_FILE, _MAX_CONFIG_BYTES)
        config = read_config(text)
        if isinstance(config, Reason):
            return Verdict(ok=False, reasons=[config])
        manifest = _read_manifest(directory)
        reasons = check_config(config, text, max_rank)
        if isinstance(manifest, Reason):
            reasons.append(manifest)
        else:
            reasons += [] if manifest is None else _check_origin(manifest, base)
        notes = describe_base_name(config, base_names) if manifest is None else []
        return replace(_judge_weights(directory, config, text, base, reasons, manifest), notes=notes)
    except OSError as error:
        return Verdict(ok=False, reasons=[Reason("unsafe_file", f"It can't be read: {error}. Upload it again.")])


def _check_base(base: BaseShape) -> list[Reason]:
    if base.quantization is None:
        return []
    message = (
        f"The base model is quantised ({base.quantization}), and adapters are proven on weights in bfloat16, float16 "
        "or float32. Serve the model's version that isn't quantised; vLLM can quantise it when it loads it."
    )
    return [Reason("unsupported_base_model", message)]


def _judge_weights(
    directory: Path,
    config: AdapterConfig,
    text: bytes,
    base: BaseShape,
    reasons: list[Reason],
    manifest: Manifest | Reason | None,
) -> Verdict:
    with open_plain(directory / WEIGHTS_FILE) as file:
        try:
            tensors = read_header(file)
        except HeaderInvalid as error:
            message = f"{WEIGHTS_FILE} is not a sound safetensors file: {error}. Save or upload it again."
            return Verdict(ok=False, reasons=[*reasons, Reason("weights_invalid", message)])
        pairs = check_names(tensors, config, base)
        reasons = [*reasons, *pairs.reasons]
        digest = None
        if not pairs.reasons:
            # The header fits the base, so what there is to read is no more than an adapter of that rank has.
            hashed = AdapterDigest(text)
            reasons += read_weights(file, tensors, hashed, config.scale, base.norms)
            digest = hashed.to_hex()
    if isinstance(manifest, Manifest) and digest not in (None, manifest.adapter_digest):
        message = "The adapter's bytes are not those that its manifest was written for. Copy it again from its source."
        reasons.append(Reason("digest_mismatch", message))
    return Verdict(
        ok=not reasons,
        reasons=reasons,
        digest=digest,
        rank=config.r,
        modules=sorted({module.rpartition(".")[2] for module in pairs.modules}),
        parameters=sum(tensor.elements for tensor in tensors),
    )


def _read_manifest(directory: Path) -> Manifest | Reason | None:
    if not (directory / MANIFEST_FILE).exists():
        return None
    try:
        return msgspec.json.decode(read_plain(directory / MANIFEST_FILE, _MAX_MANIFEST_BYTES), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"{MANIFEST_FILE} is not a manifest of this version: {error}. Remove it, or train the adapter again."
        return Reason("config_invalid", message)


def _check_origin(manifest: Manifest, base: BaseShape) -> list[Reason]:
    reasons: list[Reason] = []
    if manifest.base_digest != base.digest:
        message = (
            f"The adapter was trained on other weights ({manifest.base_name[:200]!r}, {manifest.base_digest[:12]}…) "
            f"than the base model here has ({base.digest[:12]}…). Train it on this base."
        )
        reasons.append(Reason("wrong_base", message))
    elif manifest.chat_template_digest != base.chat_template_digest:
        message = (
            "The base model's chat template has changed since the adapter was trained, so it would read prompts that "
            "it never saw. Put the old template back, or train the adapter again."
        )
        reasons.append(Reason("wrong_chat_template", message))
    return reasons
