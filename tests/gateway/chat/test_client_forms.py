"""Bodies that clients in use send and OpenAI's contract allows: none of them is one that an engine refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from gateway.chat.request import ChatCompletionCreate, decode_request, to_question
from gateway.errors import BadRequest
from tests.fakes.refusals import find_refusals

HI: dict[str, Any] = {"role": "user", "content": "Hi"}
FUNCTION: dict[str, Any] = {"name": "look", "arguments": "{}"}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": FUNCTION}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
NAME_MEMBERS: dict[str, Any] = {"type": "function", "function": {"name": "look"}}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "call_1", "content": "31"}


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """What an engine gets of a request, but for what composing adds."""
    request = decode_request(json.dumps({"model": "m", "messages": [HI], **body}).encode())
    question = to_question(request)
    members = [json.loads(json.dumps(_members(message))) for message in question.messages]
    return {"messages": members, **question.parameters}


def _members(message: Any) -> dict[str, Any]:
    names = ("role", "content", "tool_calls", "tool_call_id")
    values = {name: getattr(message, name) for name in names}
    return {name: value for name, value in values.items() if type(value).__name__ != "UnsetType"}


def calling(*calls: Any, **more: Any) -> list[dict[str, Any]]:
    return [HI, {"role": "assistant", "content": None, "tool_calls": list(calls), **more}, RESULT]


FORMS = {
    "tools": st.sampled_from([None, [], [TOOL]]),
    "tool_choice": st.sampled_from([None, "none", "auto"]),
    "parallel_tool_calls": st.sampled_from([None, True, False]),
    "stop": st.sampled_from([None, "", [], [""], "x", ["x", ""]]),
    "stream_options": st.sampled_from([None, {}, {"include_usage": True, "include_obfuscation": False}]),
    "top_logprobs": st.sampled_from([None, 0]),
    "response_format": st.sampled_from([None, {"type": "text"}, {"type": "json_object"}]),
    "max_tokens": st.sampled_from([None, 5, 5.0]),
    "n": st.sampled_from([None, 1, 2.0]),
    "seed": st.sampled_from([None, -1, 7.0]),
    "metadata": st.sampled_from([None, {}, {"a": "b"}]),
    "function_call": st.none(),
    "functions": st.sampled_from([None, []]),
    "messages": st.sampled_from(
        [
            [HI],
            [HI, {"role": "assistant", "content": "x", "tool_calls": [], "refusal": None, "audio": None}, HI],
            [HI, {"role": "assistant", "content": None, "refusal": "No."}, HI],
            calling(CALL),
            calling({**CALL, "index": 0}, function_call=None),
            calling({"id": "call_1", "function": {"name": "look"}}),
            calling({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": {"a": 1}}}),
            [
                HI,
                {"role": "assistant", "function_call": FUNCTION},
                {"role": "function", "name": "look", "content": None},
            ],
        ]
    ),
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=FORMS))
@example({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True})
@example({"tool_choice": "auto"})
@example({"stop": [""]})
def test_what_the_contract_allows_no_engine_refuses(body: dict[str, Any]) -> None:
    assert list(find_refusals(sent(body))) == []


@pytest.mark.parametrize(
    ("choice", "tools"),
    [("required", None), ("required", []), (NAME_MEMBERS, None), (NAME_MEMBERS, [{**TOOL, "function": {"name": "a"}}])],
)
def test_a_call_that_cannot_be_made_is_refused_by_name(choice: Any, tools: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        sent({"tool_choice": choice, "tools": tools})
    assert caught.value.param == "tool_choice"
    assert sent({"tool_choice": "required", "tools": [TOOL]})["tool_choice"] == "required"
    assert sent({"tool_choice": NAME_MEMBERS, "tools": [TOOL]})["tool_choice"] == NAME_MEMBERS


def allowing(*names: str, mode: str = "auto") -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_of_the_tools_the_engine_gets_those_that_are_allowed(mode: str) -> None:
    tools = [{**TOOL, "function": {"name": name}} for name in ("look", "buy", "sell")]
    asked = sent({"tools": tools, "tool_choice": allowing("sell", "look", mode=mode)})
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["look", "sell"]
    assert asked["tool_choice"] == mode
    assert list(find_refusals(asked)) == []


@pytest.mark.parametrize(
    "choice",
    [
        allowing("steal"),
        allowing(),
        allowing("look", mode="none"),
        {"type": "allowed_tools"},
        {"type": "allowed_tools", "allowed_tools": ["look"]},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [None]}},
    ],
)
def test_what_cannot_be_allowed_is_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        sent({"tools": [TOOL], "tool_choice": choice})
    assert caught.value.param == "tool_choice"


def test_a_tool_that_is_not_allowed_is_checked_and_named_by_its_place() -> None:
    bad = {"type": "function", "function": {"name": "buy", "parameters": []}}
    for tools, allowed in (([TOOL, bad], "buy"), ([TOOL, bad], "look"), ([{"type": "custom"}, TOOL], "look")):
        with pytest.raises(BadRequest) as caught:
            sent({"tools": tools, "tool_choice": allowing(allowed)})
        assert caught.value.param == ("tools[0].type" if "function" not in tools[0] else "tools[1].function.parameters")


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_parts_of_text_have_three_names(kind: str) -> None:
    part = {"type": kind, "text": "Hi"}
    assert sent({"messages": [{"role": "user", "content": [part]}]})["messages"][0]["content"] == "Hi"
    with pytest.raises(BadRequest, match=f"'{kind}' has no text"):
        sent({"messages": [{"role": "user", "content": [{"type": kind}]}]})


def test_each_member_of_the_pinned_client_is_read_or_said_to_change_nothing() -> None:
    """What is ignored without a word would be answered as if it hadn't been asked."""
    members = set(CompletionCreateParamsBase.__annotations__) | {"stream"}
    guide = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"These change nothing[^\n]*(?:\n(?!\n)[^\n]*)*", guide)
    named = set(re.findall(r"`(\w+)`", sentence))
    assert members - set(ChatCompletionCreate.__struct_fields__) == named & members


def test_an_old_call_and_its_result_belong_together() -> None:
    result = {"role": "function", "name": "look", "content": "31"}
    messages = sent({"messages": [HI, {"role": "assistant", "content": None, "function_call": FUNCTION}, result]})[
        "messages"
    ]
    assert messages[1]["tool_calls"] == [{"id": "call_1", "type": "function", "function": FUNCTION}]
    assert messages[2] == {"role": "tool", "content": "31", "tool_call_id": "call_1"}


@pytest.mark.parametrize("call", [{}, {"id": "a"}, {**CALL, "type": "custom"}, {**CALL, "function": {"name": 1}}])
def test_a_call_that_no_answer_can_have_had_is_refused_by_its_place(call: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        sent({"messages": calling(CALL, call)})
    assert caught.value.param == "messages[1].tool_calls[1]"


def test_what_an_answer_refused_is_what_it_said() -> None:
    assert (
        sent({"messages": [HI, {"role": "assistant", "refusal": "I won't."}, HI]})["messages"][1]["content"]
        == "I won't."
    )


def test_whole_numbers_may_have_a_point_and_others_may_not() -> None:
    assert sent({"max_tokens": 100.0, "temperature": 1.0, "top_p": 0.5})["max_tokens"] == 100
    for wrong in (100.5, 1e300):
        with pytest.raises(BadRequest) as caught:
            sent({"max_tokens": wrong, "temperature": 1.0})
        assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no body"),
        (b" \n", "no body"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d"}]}', "half of a character"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "a\\uDE00b"}]}', "half of a character"),
        (b'{"model": "m", "x": NaN}', "isn't valid JSON: JSON is malformed"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_reason(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        decode_request(body)
    assert caught.value.code == "invalid_json"


def test_a_whole_pair_is_a_character() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d\\ude00"}]}'
    assert decode_request(body).messages[0].content == "\U0001f600"
