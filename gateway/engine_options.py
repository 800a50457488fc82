"""The operator's own options for the engine that Braid starts, with those refused that Braid has to set itself."""

import math
import re
import shlex
from dataclasses import dataclass
from typing import Self

__all__ = ["EngineOptions"]

_REACH = "Braid decides where the engine listens and who may ask it"
_MODEL = "Braid decides which model is served: set BRAID_BASE_MODEL and BRAID_BASE_MODEL_NAME"
_CHECKPOINT = "training and the proof of adapters read the checkpoint as it stands: change its files"
_LORA = "Braid loads and unloads adapters itself; BRAID_MAX_LORA_RANK is a setting"
_TEMPLATE = "training renders rows as the checkpoint says: put the template or tokenizer into the model's folder"
_SHARE = "set BRAID_ENGINE_GPU_SHARE instead"
_CONTRACT = "clients are promised what OpenAI's description says, and an adapter is proven by its log probabilities"
_PROCESS = "Braid starts one server that it can supervise"

_OWN_OPTIONS = {
    "--host": _REACH,
    "--port": _REACH,
    "--uds": _REACH,
    "--root-path": _REACH,
    "--api-key": _REACH,
    "--ssl-keyfile": _REACH,
    "--ssl-certfile": _REACH,
    "--ssl-ca-certs": _REACH,
    "--ssl-cert-reqs": _REACH,
    "--ssl-ciphers": _REACH,
    "--enable-ssl-refresh": _REACH,
    "--grpc": _REACH,
    "--model": _MODEL,
    "--served-model-name": _MODEL,
    "--revision": _CHECKPOINT,
    "--code-revision": _CHECKPOINT,
    "--hf-config-path": _CHECKPOINT,
    "--hf-overrides": _CHECKPOINT,
    "--config-format": _CHECKPOINT,
    "--model-class-overrides": _CHECKPOINT,
    "--runner": _MODEL,
    "--convert": _MODEL,
    "--enable-lora": _LORA,
    "--max-loras": _LORA,
    "--max-cpu-loras": _LORA,
    "--max-lora-rank": _LORA,
    "--lora-modules": _LORA,
    "--lora-target-modules": _LORA,
    "--default-mm-loras": _LORA,
    "--chat-template": _TEMPLATE,
    "--default-chat-template-kwargs": _TEMPLATE,
    "--tokenizer": _TEMPLATE,
    "--tokenizer-mode": _TEMPLATE,
    "--tokenizer-revision": _TEMPLATE,
    "--skip-tokenizer-init": _TEMPLATE,
    "--chat-template-content-format": _TEMPLATE,
    "--trust-request-chat-template": _TEMPLATE,
    "--max-logprobs": _CONTRACT,
    "--logprobs-mode": _CONTRACT,
    "--return-tokens-as-token-ids": _CONTRACT,
    "--response-role": _CONTRACT,
    "--gpu-memory-utilization": _SHARE,
    "--device-memory-utilization": _SHARE,
    "--enable-prompt-tokens-details": _PROCESS,
    "--api-server-count": _PROCESS,
    "-asc": _PROCESS,
    "--config": _PROCESS,
    "--headless": _PROCESS,
    "--help": _PROCESS,
    "-h": _PROCESS,
}
_SHORT = {"-tp": "--tensor-parallel-size", "-pp": "--pipeline-parallel-size", "-q": "--quantization"}
_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9._-]*(=.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Words of a command line, as vLLM's own documentation writes them."""

    words: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a command line as a shell would.

        Raises:
            ValueError: It has an open quote, a word that belongs to no option, or an option that is Braid's.
        """
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise ValueError(f"the options can't be split into words: {error}") from None
        may_be_value = False
        for word in words:
            if _OPTION.fullmatch(word):
                _check_owner(_name(word))
                may_be_value = "=" not in word
            elif not may_be_value:
                raise ValueError(f"{word!r} belongs to no option: write options as vLLM does, such as --max-num-seqs 8")
        return cls(words)

    def has(self, *names: str) -> bool:
        """Tell whether one of these options is given, or its opposite (`--no-…`)."""
        return any(_name(word).replace("--no-", "--", 1) in names for word in self.words if _OPTION.fullmatch(word))

    def find_value(self, name: str) -> str | None:
        """Return an option's last value, None without one."""
        value = ""
        for word, following in zip(self.words, (*self.words[1:], ""), strict=False):
            if _OPTION.fullmatch(word) and _name(word) == name:
                value = word.partition("=")[2] if "=" in word else following
        return value or None

    def count_gpus(self) -> int:
        """Return the number of GPUs that one replica is split over.

        Raises:
            ValueError: A size is no number.
        """
        sizes = [self.find_value(name) or "1" for name in ("--tensor-parallel-size", "--pipeline-parallel-size")]
        if not all(size.isdigit() for size in sizes):
            raise ValueError(f"{' and '.join(sizes)} can't be sizes: give whole numbers")
        return math.prod(map(int, sizes))


def _name(word: str) -> str:
    """Return an option's name as vLLM reads it: underscores are dashes, and what follows a dot is a part of it."""
    name = word.partition("=")[0]
    if not name.startswith("--"):
        return _SHORT.get(name, name)
    return "--" + name[2:].partition(".")[0].replace("_", "-")


def _check_owner(name: str) -> None:
    positive = name.replace("--no-", "--", 1)
    for own, reason in _OWN_OPTIONS.items():
        # vLLM's parser completes names that are cut short.
        if positive == own or (positive.startswith("--") and len(positive) > 2 and own.startswith(positive)):
            raise ValueError(f"{name} can't be among the options: {reason}")
