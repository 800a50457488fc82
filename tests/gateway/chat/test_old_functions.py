"""Tools in the form of clients before openai 1.1: `functions`, `function_call`, and messages of the role `function`."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.answering.engine_answer import decode_answer
from gateway.chat.completion import encode_completion
from gateway.chat.request import decode_request, to_question
from gateway.chat.stream import DONE_EVENT
from gateway.errors import BadRequest
from tests.contract.openai.strict import find_problems
from tests.fakes import faults
from tests.fakes.refusals import find_refusals
from tests.fakes.vllm import FakeVllm
from tests.gateway.chat.test_client_forms import HI, TOOL, sent
from tests.gateway.chat.test_completion import make_trace
from tests.gateway.chat.test_completions import CHAT, events_of
from tests.gateway.chat.test_stream import LAST, chunk, events
from tests.gateway.conftest import Gateway

LOOK: dict[str, Any] = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
BUY: dict[str, Any] = {"name": "buy"}
ASK: dict[str, Any] = {"model": "base", "messages": [HI], "functions": [LOOK, BUY]}


def call(index: int, name: str, arguments: str) -> dict[str, Any]:
    return {
        "index": index,
        "id": f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


@pytest.mark.parametrize(
    ("choice", "tool_choice"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ({"name": "buy"}, {"type": "function", "function": {"name": "buy"}}),
    ],
)
def test_functions_are_tools_to_the_engine(choice: Any, tool_choice: Any) -> None:
    asked = sent({"functions": [LOOK, BUY], "function_call": choice})
    assert asked["tools"] == [{"type": "function", "function": LOOK}, {"type": "function", "function": BUY}]
    assert asked.get("tool_choice") == tool_choice
    assert asked["parallel_tool_calls"] is False, "an answer has room for one function_call"
    assert list(find_refusals(asked)) == []
    assert not asked.keys() & {"functions", "function_call"}


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_without_functions_there_are_no_tools(choice: Any) -> None:
    assert not sent({"functions": [], "function_call": choice}).keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"functions": [LOOK], "tools": [TOOL]}, "functions", "Send one"),
        ({"functions": [LOOK], "tool_choice": "auto"}, "functions", "Send one"),
        ({"function_call": "none", "tools": [TOOL]}, "function_call", "Send one"),
        ({"functions": [LOOK], "function_call": "required"}, "function_call", "none, auto"),
        ({"functions": [LOOK], "function_call": {"name": "sell"}}, "function_call", "'sell', which isn't one of"),
        ({"functions": [LOOK], "function_call": {}}, "function_call", "isn't one of the functions"),
        ({"functions": [{}], "function_call": {"name": None}}, "function_call", "isn't one of the functions"),
        ({"functions": [{"name": 5}], "function_call": {"name": 5}}, "function_call", "isn't one of the functions"),
        ({"function_call": {"name": "look"}}, "function_call", "isn't one of the functions"),
        ({"functions": [LOOK, {"name": "a b"}]}, "functions[1].name", "letters"),
        (
            {"functions": [{"name": "a", "parameters": []}]},
            "functions[0].parameters",
            r"^functions\[0\].parameters has",
        ),
        ({"functions": [LOOK] * 129}, "functions", "128"),
        ({"functions": "look"}, "functions", "array"),
        ({"functions": ["look"]}, "functions[0]", "object"),
        ({"functions": [LOOK], "function_call": 1}, "function_call", "str"),
    ],
)
def test_what_is_wrong_with_functions_is_said_in_the_clients_words(body: Any, param: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        sent(body)
    assert caught.value.param == param
    assert "tools[" not in caught.value.message


def test_an_agents_whole_conversation_goes_to_the_engine_as_tools() -> None:
    """As LangChain's agents of functions write it."""
    messages = [
        {"role": "system", "content": "Help."},
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": "", "function_call": {"name": "look", "arguments": '{"at": "Oslo"}'}},
        {"role": "function", "name": "look", "content": "4 °C"},
    ]
    *_, made, result = sent({"messages": messages, "functions": [LOOK]})["messages"]
    (made_call,) = made["tool_calls"]
    assert made_call["function"] == {"name": "look", "arguments": '{"at": "Oslo"}'}
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", made_call["id"], "4 °C")


def test_what_engines_refuse_of_tools_is_named_as_the_client_has_it() -> None:
    question = to_question(decode_request(json.dumps(ASK | {"max_completion_tokens": 5}).encode()))
    names = ("tools", "tool_choice", "max_tokens", "messages")
    assert [question.name_for_client(name) for name in names] == [
        "functions",
        "function_call",
        "max_completion_tokens",
        "messages",
    ]


async def test_a_call_is_answered_in_the_old_form(gateway: Gateway, engine: FakeVllm) -> None:
    engine.reply = lambda chat: '{"at": "Oslo"}'
    client = await gateway.tenant("kestrel")
    asked = ASK | {"function_call": {"name": "look"}}
    answer = (await client.post(CHAT, json=asked)).json()
    assert find_problems(ChatCompletion, answer) == []
    message = answer["choices"][0]["message"]
    assert message["function_call"] == {"name": "look", "arguments": '{"at": "Oslo"}'}
    assert "tool_calls" not in message

    *chunks, done = events_of((await client.post(CHAT, json=asked | {"stream": True})).text)
    assert done == "[DONE]"
    deltas = [choice["delta"] for event in chunks for choice in event["choices"]]
    calls = [delta["function_call"] for delta in deltas if "function_call" in delta]
    assert [one["name"] for one in calls if "name" in one] == ["look"]
    assert "".join(one["arguments"] for one in calls) == '{"at": "Oslo"}'
    assert not any("tool_calls" in delta for delta in deltas)
    for event in chunks:
        assert find_problems(ChatCompletionChunk, event) == []


async def test_a_text_beside_functions_is_a_text(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    answer = (await client.post(CHAT, json=ASK)).json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("The engine heard: Hi", "stop")
    assert not answer["message"].keys() & {"function_call", "tool_calls"}


async def test_an_engine_that_reads_no_calls_is_said_of_functions(gateway: Gateway, engine: FakeVllm) -> None:
    engine.script(faults.status(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'))
    client = await gateway.tenant("kestrel")
    error = (await client.post(CHAT, json=ASK)).json()["error"]
    assert (error["code"], error["param"]) == ("tools_unsupported", "functions")


PIECES = st.sampled_from([[], [""], ["{}"], ['{"a"', ": 1}"]])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(PIECES, max_size=3),
    st.sampled_from(["", "Let me look [1]. "]),
    st.sampled_from(["stop", "length", "tool_calls"]),
    st.booleans(),
)
def test_a_stream_adds_up_to_the_whole_answer_in_the_old_form(
    calls: list[list[str]], text: str, finish: str, searched: bool
) -> None:
    """Also of an engine that makes several calls although one was asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": text}]
    for index, pieces in enumerate(calls):
        deltas.append({"tool_calls": [call(index, f"find{index}", "")]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    raw = b"".join(map(chunk, deltas)) + chunk({}, finish) + LAST + DONE_EVENT
    streamed = events(make_trace(searched=searched), raw, functions=True)
    choices = [choice for event in streamed for choice in event["choices"]]
    olds = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]

    made = [call(index, f"find{index}", "".join(pieces)) for index, pieces in enumerate(calls)]
    body = {"choices": [{"message": {"content": text, "tool_calls": made or None}, "finish_reason": finish}]}
    answer = decode_answer(json.dumps(body).encode())
    (whole,) = json.loads(encode_completion(make_trace(searched=searched), answer, functions=True))["choices"]

    assert not any("tool_calls" in one for one in (whole["message"], *(choice["delta"] for choice in choices)))
    assert ("function_call" in whole["message"]) == bool(calls) == bool(olds)
    if calls:
        added = {
            "name": "".join(one.get("name", "") for one in olds),
            "arguments": "".join(o["arguments"] for o in olds),
        }
        assert added == whole["message"]["function_call"]
        assert added["name"] == "find0"
    assert choices[-1]["finish_reason"] == whole["finish_reason"] == finish.replace("tool_calls", "function_call")
