"""The parser that finds tool calls in what a base model writes, chosen by its chat template and its family."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from training.checkpoint import CheckpointUnreadable, read_chat_template

__all__ = ["TOOL_PARSERS", "choose_tool_parser"]


class _Config(msgspec.Struct):
    model_type: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A parser of vLLM's, the mark that a chat template has where its model writes so, and the families it is for."""

    parser: str
    mark: str
    families: tuple[str, ...] = ()

    def fits(self, template: str, family: str) -> bool:
        return self.mark in template and (not self.families or family.startswith(self.families))


# The first that fits. A template decides before a family does: models of one family write calls in several ways
# (Llama and its children), and a model whose template has no word for tools calls none. The plain mark comes last.
_RULES = (
    _Rule("mistral", "[TOOL_CALLS]"),
    _Rule("openai", "<|channel|>", ("gpt_oss",)),
    _Rule("llama4_json", '"parameters": dictionary', ("llama4",)),
    _Rule("llama3_json", "Environment: ipython", ("llama", "mllama")),
    _Rule("qwen3_coder", "<function=", ("qwen", "nemotron")),
    _Rule("granite", "<|tool_call|>", ("granite",)),
    _Rule("granite4", "<tool_call>", ("granite",)),
    _Rule("phi4_mini_json", "<|tool|>", ("phi3", "phi4")),
    _Rule("hunyuan_a13b", "<tool_calls>", ("hunyuan",)),
    _Rule("jamba", "<tool_calls>", ("jamba",)),
    _Rule("internlm", "<|action_start|>", ("internlm",)),
    _Rule("deepseek_v3", "```json", ("deepseek_v3",)),
    _Rule("deepseek_v31", "<｜tool▁calls▁begin｜>", ("deepseek_v3",)),
    _Rule("glm45", "<arg_key>", ("glm4",)),
    _Rule("ernie45", "<tool_call>", ("ernie4_5",)),
    _Rule("kimi_k2", "<|tool_calls_section_begin|>"),
    _Rule("lfm2", "<|tool_call_start|>"),
    _Rule("functiongemma", "<start_function_call>"),
    _Rule("gemma4", "<|tool_call>", ("gemma4",)),
    _Rule("olmo3", "<function_calls>", ("olmo3",)),
    _Rule("minimax_m2", "<minimax:tool_call>"),
    _Rule("seed_oss", "<seed:tool_call>"),
    _Rule("cohere_command3", "<|START_ACTION|>"),
    _Rule("hermes", "<tool_call>"),
)
_WORD = "tools"

TOOL_PARSERS = frozenset(rule.parser for rule in _RULES)
"""All names that may be chosen; vLLM has more, which an operator can name."""


def choose_tool_parser(model: Path) -> str | None:
    """Return vLLM's name of the parser for a checkpoint, or None where its template knows no tools."""
    try:
        family = msgspec.json.decode((model / "config.json").read_bytes(), type=_Config).model_type
        template = read_chat_template(model)
    except (OSError, msgspec.MsgspecError, CheckpointUnreadable):
        return None
    if _WORD not in template:
        return None
    return next((rule.parser for rule in _RULES if rule.fits(template, family)), None)
