"""The adapter's `adapter_config.json`: only the features that engines apply as they were trained are let through."""

import math
from collections.abc import Collection
from typing import Any

import msgspec

from training.verdict.verdict import Reason, list_examples

__all__ = ["MAX_SCALE", "AdapterConfig", "check_config", "describe_base_name", "read_config"]

MAX_SCALE = 100.0
"""Limit of the factor on the update. Real ones are 0.5 to 32; a huge one has the effect of huge weights."""

_ANY_VALUE = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "corda_config", "eva_config", "inference_mode",
        "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout", "lora_dtype", "lora_ga_config",
        "lorap_emb_lr", "lorap_lr_ratio", "megatron_core", "peft_version", "qalora_group_size", "revision",
        "runtime_config", "task_type",
    }
)  # fmt: skip
"""Keys that change nothing about how the weights are applied.

The configs of starting points count where `init_lora_weights` names them, and that is looked at. `lora_dtype` and
`lorap_…` are ms-swift's: the type and the rates of the training.
"""

_TIED = ("embed_tokens", "lm_head")
"""Modules that share a base's weights: an adapter of one is tied to that of the other by `ensure_weight_tying`."""

_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica"})
"""Starting points that leave the base as it is.

PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base's own weights, and the adapter is meant for those; vLLM and PEFT
load one of LoRA-GA onto the base as it was, without a word. PEFT writes `true` into those that it has converted.
"""

_PATTERNS = frozenset({"rank_pattern", "alpha_pattern"})
"""Ranks and scales of single modules. vLLM applies them, and takes their keys for regular expressions, without a bound
on the time: one that goes back and forth for hours would stop the engine that serves everybody."""


class AdapterConfig(msgspec.Struct, frozen=True):
    """The keys that are applied.

    `target_modules` may be a regular expression (Unsloth and LLaMA-Factory write one on bases that see). Engines load
    what the file has tensors for, by their names, and so does `training.model`; nobody evaluates it, which could take
    any time.
    """

    peft_type: str
    r: int = 0
    lora_alpha: float = 0.0
    target_modules: list[str] | str | None = None
    base_model_name_or_path: str | None = None
    bias: str = "none"
    exclude_modules: list[str] | str | None = None
    use_rslora: bool = False
    init_lora_weights: bool | str | None = True

    @property
    def scale(self) -> float:
        """The factor on the update; meaningful for a rank of 1 or more."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    def targets(self, module: str) -> bool:
        """Tell whether `target_modules` names a module, by its full name or the end of it, as PEFT matches.

        A text says nothing against a module: it stands for all, or is a pattern, which isn't evaluated.
        """
        return _names(self.target_modules, module)

    def excludes(self, module: str) -> bool:
        """Tell whether `exclude_modules`, which goes before `target_modules`, may name a module; see `targets`."""
        return _names(self.exclude_modules, module)


def _names(names: list[str] | str | None, module: str) -> bool:
    if not isinstance(names, list):
        return bool(names)
    return any(module == name or module.endswith(f".{name}") for name in names)


_OF_MLX = (
    "adapter_config.json is MLX's, whose adapters have other names and shapes than PEFT's, which engines read. "
    "Convert it to PEFT's format, with lora_alpha the scale times the rank."
)
_APPLIED = frozenset(AdapterConfig.__struct_fields__)


def read_config(text: bytes) -> AdapterConfig | Reason:
    """Read the config, or say why it is none."""
    try:
        # By way of all entries, so that one which can't be read is found here, whether it is applied or not.
        return msgspec.convert(msgspec.json.decode(text, type=dict[str, Any]), AdapterConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b'"fine_tune_type"' in text and b'"peft_type"' not in text:
            return Reason("config_invalid", _OF_MLX)
        message = f"adapter_config.json is not the config of a LoRA adapter: {error}. Save the adapter with PEFT again."
        return Reason("config_invalid", message)


def check_config(config: AdapterConfig, text: bytes, max_rank: int) -> list[Reason]:
    """Name everything in a config that vLLM would ignore, refuse, or be hurt by."""
    reasons = [*_check_features(config, text)]
    if config.r < 1:
        reasons.append(Reason("config_invalid", f"The rank r is {config.r}; it is at least 1."))
    elif config.r > max_rank:
        message = f"The rank is {config.r}, and the engines take up to {max_rank}. Train with a rank of {max_rank}."
        reasons.append(Reason("rank_over_limit", message))
    elif not 0 < config.scale <= MAX_SCALE:
        message = (
            f"lora_alpha {config.lora_alpha:g} at rank {config.r} scales the update by {config.scale:g}; the factor is "
            f"above 0 and at most {MAX_SCALE:g}, so that it can't overflow. Train with an alpha of twice the rank."
        )
        reasons.append(Reason("config_invalid", message))
    return reasons


def describe_base_name(config: AdapterConfig, base_names: Collection[str]) -> list[str]:
    """Return a note where an adapter without a manifest calls its base otherwise than the served one is called."""
    name = config.base_model_name_or_path or ""
    if name in base_names or _last_name(name) in {base.rpartition("/")[2] for base in base_names}:
        return []
    return [
        f"It calls its base {name[:200]!r}, and the base model here is {list_examples(sorted(base_names))}, of the "
        "same shape. If these are two models and not two names of one, it answers worse than where it comes from."
    ]


def _last_name(name: str) -> str:
    """Return the last part of a base's name. Trainers write what they were given: often a path, or a hub's cache."""
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if parts[-2:-1] == ["snapshots"] and parts[-3:-2] and parts[-3].startswith("models--"):
        return parts[-3].split("--", 2)[-1]  # the hub's cache has `acme/tiny` as `models--acme--tiny/snapshots/0a1b…`
    return parts[-1]


def _check_features(config: AdapterConfig, text: bytes) -> list[Reason]:
    features: list[str] = []
    if config.peft_type.upper() != "LORA":
        features.append(f"peft_type {config.peft_type[:40]!r}")
    if config.bias != "none":
        features.append(f"bias {config.bias[:40]!r}")
    entries = msgspec.json.decode(text, type=dict[str, Any])
    # Off is None, False, 0 or empty. Whatever is on and not known here may change how the weights are meant.
    options = _APPLIED | _ANY_VALUE | _PATTERNS
    if str(entries.get("swift_type")).upper() == "LORA":
        options |= {"swift_type"}  # of ms-swift, where LONGLORA is another attention
    names = config.target_modules
    if names == "all-linear" or (isinstance(names, list) and not any(map(config.targets, _TIED))):
        options |= {"ensure_weight_tying"}
    features += sorted(key[:80] for key, value in entries.items() if value and key not in options)
    reasons: list[Reason] = []
    if features:
        message = (
            f"The adapter uses what the engine doesn't apply: {', '.join(features[:8])}. It would be served as "
            "something else than was trained. Train a plain LoRA, or convert it to one with PEFT."
        )
        reasons.append(Reason("unsupported_feature", message))
    init = config.init_lora_weights
    if isinstance(init, str) and init.lower() not in _INITS:
        message = (
            f"The adapter began with init_lora_weights {init[:40]!r}, which changes the base's own weights, and is "
            "meant for those; engines put it on the base as it was. Save it with PEFT's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it."
        )
        reasons.append(Reason("unsupported_feature", message))
    if patterns := sorted(key for key in _PATTERNS if entries.get(key)):
        message = (
            f"The adapter has ranks or scales of single modules ({', '.join(patterns)}). Engines take their keys for "
            "regular expressions, and one that takes hours would stop them for everybody, so none is let through. "
            "Train with one rank and one lora_alpha."
        )
        reasons.append(Reason("unsupported_feature", message))
    return reasons
