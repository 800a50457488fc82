"""What a client reads where an engine refuses its request: OpenAI's codes, its own names, and numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answering.compose import compose
from gateway.answering.engine_refusal import explain_refusal
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.engines import EngineRefused
from tests.gateway.answering.test_compose import Counter
from tests.gateway.conftest import Gateway

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
CAPTURED = Path(__file__).parents[2] / "fakes" / "captured"
CONTEXT = 8192
ASK: dict[str, Any] = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}
LONG = "tide " * 9000


def refuse(name: str) -> EngineRefused:
    """A refusal that a real engine sent."""
    error = json.loads(json.loads((CAPTURED / name).read_text())["body"])["error"]
    return EngineRefused(400, error["message"], error["type"], error["param"])


@pytest.mark.parametrize(
    ("name", "param", "number"),
    [
        ("chat_too_long.json", "messages", "at least 8193 tokens"),
        ("chat_too_long_stream.json", "messages", "at least 8193 tokens"),
        ("chat_max_tokens_too_large.json", "max_tokens", "1000000 tokens"),
    ],
)
def test_what_a_real_engine_has_no_room_for_is_said_as_openai_says_it(name: str, param: str, number: str) -> None:
    error = explain_refusal(refuse(name), CONTEXT)
    assert (error.status, error.code, error.param) == (400, "context_length_exceeded", param)
    assert error.message.startswith(f"This model's maximum context length is {CONTEXT} tokens. However, ")
    assert number in error.message


@given(
    size=st.integers(1, 10**12),
    least=st.sampled_from(["", "at least "]),
    unit=st.sampled_from(["input tokens", "characters"]),
)
def test_the_size_of_a_prompt_is_told_in_any_of_the_engine_s_units(size: int, least: str, unit: str) -> None:
    words = (
        f"This model's maximum context length is 8 tokens. However, your prompt contains {least}{size} {unit}, which"
    )
    error = explain_refusal(EngineRefused(400, words, "BadRequestError", "input_tokens"), CONTEXT)
    assert f"your messages have {least}{size} {unit.removeprefix('input ')}" in error.message
    assert (error.code, error.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    "reason",
    [
        "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
        "The decoder prompt (length 8192) plus the number of requested output tokens (at least 1) is longer than the "
        "maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.",
    ],
)
def test_a_prompt_that_leaves_no_room_for_an_answer_is_too_long(reason: str) -> None:
    error = explain_refusal(EngineRefused(400, reason, "BadRequestError", "max_tokens"), CONTEXT)
    assert (error.code, error.param) == ("context_length_exceeded", "messages")
    assert "max_model_len" not in error.message


def test_a_schema_with_the_words_of_an_overflow_is_none() -> None:
    words = 'Failed to transform json schema into a grammar: property "context_length" is unsupported'
    error = explain_refusal(EngineRefused(400, words, "BadRequestError", None), CONTEXT)
    assert (error.code, error.param) == ("engine_refused", "response_format")
    assert words in error.message


@given(st.text(max_size=200), st.sampled_from([None, "top_logprobs", "body.reasoning_effort"]))
def test_whatever_an_engine_says_becomes_an_error_without_its_own_places(reason: str, param: str | None) -> None:
    error = explain_refusal(EngineRefused(400, f"{reason} (parameter={param}, value=[1])", None, param), CONTEXT)
    assert error.status == 400
    assert "(parameter=" not in error.message or "(parameter=" in reason
    assert error.param is None or not error.param.startswith("body.")


@pytest.mark.parametrize(
    ("reason", "param", "message", "shown"),
    [
        (
            "1 validation error:\n  {'type': 'literal_error', 'loc': 'body.reasoning_effort', 'msg': \"Input should be "
            "'none' or 'low'\", 'input': 'auto', 'ctx': {'expected': \"'none' or 'low'\"}}",
            "body.reasoning_effort",
            "Input should be 'none' or 'low'",
            "reasoning_effort",
        ),
        (
            "token_id(s) [99] in logit_bias contain out-of-vocab token ids. (parameter=logit_bias, value=[99])",
            "logit_bias",
            "token_id(s) [99] in logit_bias contain out-of-vocab token ids.",
            "logit_bias",
        ),
        (
            "Failed to transform json schema into a grammar: no",
            None,
            "Failed to transform json schema",
            "response_format",
        ),
        (
            'Failed to make a grammar: [19:33:12] <path>:4944: Unsupported type "x"',
            None,
            'Failed to make a grammar: Unsupported type "x"',
            "response_format",
        ),
        ("The template can't.", None, "The template can't.", None),
    ],
)
def test_an_engine_s_words_stay_and_its_notation_goes(reason: str, param: Any, message: str, shown: Any) -> None:
    error = explain_refusal(EngineRefused(400, reason, "BadRequestError", param), CONTEXT)
    assert error.message.startswith(message)
    assert (error.code, error.param) == ("engine_refused", shown)
    assert "literal_error" not in error.message


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {**ASK, "max_tokens": 10**6}, "max_tokens"),
        (CHAT, {**ASK, "max_completion_tokens": 10**6}, "max_completion_tokens"),
        (CHAT, {**ASK, "messages": [{"role": "user", "content": LONG}]}, "messages"),
        (RESPONSES, {"model": "base", "input": "Hi", "max_output_tokens": 10**6}, "max_output_tokens"),
        (RESPONSES, {"model": "base", "input": LONG}, "input"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_reads_its_own_name_for_what_is_too_much(
    gateway: Gateway, path: str, body: dict[str, Any], param: str, stream: bool
) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post(path, json={**body, "stream": stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", param)
    assert "maximum context length is 4096 tokens" in error["message"]
    assert "max_model_len" not in error["message"]


async def test_a_release_s_own_limit_is_never_more_than_the_context() -> None:
    question = Question("answer-1", "base", [Message("user", "Hi")], {})
    target = Target("base", sampling={"max_tokens": 10**6, "temperature": 0.5})
    composed = await compose(question, target, Evidence("off"), "kestrel", Counter(4096))
    sent = json.loads(composed.body)
    assert (sent["max_tokens"], sent["temperature"]) == (4096, 0.5)
