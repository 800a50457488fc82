"""Templates in the words of the models that they are of, and the parsers of the installed vLLM."""

import ast
import json
from pathlib import Path

import pytest

from gateway.engines.call_parser import TOOL_PARSERS, choose_tool_parser

ROOT = Path(__file__).parents[3]
HERMES = """{%- if tools %}return a json object within <tool_call></tool_call> XML tags: {"name": <function-name>}"""


def write_model(folder: Path, model_type: str, template: str) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "chat_template.jinja").write_text(template)
    return folder


MODELS: list[tuple[str, str, str | None]] = [
    ("qwen2", HERMES, "hermes"),
    ("qwen3", HERMES, "hermes"),
    ("llama", HERMES, "hermes"),  # a Llama that was tuned to Hermes' format
    ("qwen3_moe", "{%- if tools %}<tool_call>\n<function=example_function_name>\n<parameter=a>", "qwen3_coder"),
    ("llama", "{%- if tools is not none %}Environment: ipython\n", "llama3_json"),
    ("llama", "{{ messages }}", None),  # Llama 2, SmolLM2: no word for tools
    ("mistral", "{%- if tools %}[AVAILABLE_TOOLS] ... [TOOL_CALLS]", "mistral"),
    ("granite", "{%- if tools %}<|tool_call|>", "granite"),
    ("granitemoehybrid", "{%- if tools %}<tool_call>", "granite4"),
    ("deepseek_v3", "{%- for tool in tools %}<｜tool▁calls▁begin｜>...```json", "deepseek_v3"),
    ("deepseek_v3", "{%- for tool in tools %}<｜tool▁calls▁begin｜>", "deepseek_v31"),
    ("gpt_oss", "{%- if tools %}<|channel|>", "openai"),
    ("llama4", '{%- if tools %}"parameters": dictionary... Environment: ipython', "llama4_json"),
    ("mllama", "{%- if tools is not none %}Environment: ipython\n", "llama3_json"),
    ("nemotron_h", "{%- if tools %}<tool_call>\n<function=f>", "qwen3_coder"),
    ("mamba", "{%- if tools %}<tool_call>\n<function=f>", "hermes"),  # the mark of a family that it isn't of
    ("phi3", "{%- if tools %}<|tool|>", "phi4_mini_json"),
    ("hunyuan_v1_moe", "{%- if tools %}<tool_calls>", "hunyuan_a13b"),
    ("jamba", "{%- if tools %}<tool_calls>", "jamba"),
    ("internlm3", "{%- if tools %}<|action_start|>", "internlm"),
    ("glm4_moe", "{%- if tools %}<tool_call><arg_key>", "glm45"),
    ("ernie4_5_moe", "{%- if tools %}<tool_call>", "ernie45"),
    ("kimi_k2", "{%- if tools %}<|tool_calls_section_begin|>", "kimi_k2"),
    ("lfm2", "{%- if tools %}<|tool_call_start|>", "lfm2"),
    ("gemma3_text", "{%- if tools %}<start_function_call>", "functiongemma"),
    ("gemma4", "{%- if tools %}<|tool_call>", "gemma4"),
    ("olmo3", "{%- if tools %}<function_calls>", "olmo3"),
    ("minimax_m2", "{%- if tools %}<minimax:tool_call>", "minimax_m2"),
    ("seed_oss", "{%- if tools %}<seed:tool_call>", "seed_oss"),
    ("cohere2", "{%- if tools %}<|START_ACTION|>", "cohere_command3"),
    ("gemma3", "{{ messages }}", None),
    ("stablelm", "{%- if tools %}call them as you like", None),
]


@pytest.mark.parametrize(("model_type", "template", "parser"), MODELS)
def test_the_parser_follows_from_the_template_and_the_family(
    tmp_path: Path, model_type: str, template: str, parser: str | None
) -> None:
    assert choose_tool_parser(write_model(tmp_path, model_type, template)) == parser


def test_every_parser_that_may_be_chosen_is_chosen_by_some_template() -> None:
    assert {parser for *_, parser in MODELS} == TOOL_PARSERS | {None}


def test_a_model_without_a_template_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert choose_tool_parser(tmp_path) is None
    assert choose_tool_parser(tmp_path / "gone") is None


def test_the_installed_vllm_has_every_parser_that_may_be_chosen() -> None:
    files = list((ROOT / ".venv-model").glob("lib/python*/site-packages/vllm/tool_parsers/__init__.py"))
    if not files:
        pytest.skip("needs the model environment")
    tables = [node for node in ast.walk(ast.parse(files[0].read_text())) if isinstance(node, ast.Dict)]
    names = {key.value for table in tables for key in table.keys if isinstance(key, ast.Constant)}
    assert len(names) > 30
    assert names >= TOOL_PARSERS
