"""A Responses request becomes the question that chat would have asked, and its tools become those of chat."""

import json
from typing import Any

import pytest

from gateway.answering.question import Message, Question
from gateway.errors import BadRequest
from gateway.responses.callables import Callables
from gateway.responses.request import decode_request, to_question
from retrieval.answer_probability import LEAST_PROBABILITY

ASKED: dict[str, Any] = {"model": "base", "input": "How long?"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FIND: dict[str, Any] = {"type": "function", "name": "find", "parameters": SCHEMA, "strict": None}
AS_CHAT = {"type": "function", "function": {"name": "find", "parameters": SCHEMA}}
SEARCH: dict[str, Any] = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def read(**fields: Any) -> tuple[Question, Callables]:
    return to_question(decode_request(json.dumps({**ASKED, **fields}).encode()), "req_1")


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 2, "top_p": 1}, {"temperature": 2, "top_p": 1}),
        ({"max_output_tokens": 7}, {"max_tokens": 7}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 0}, {"top_logprobs": 0}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["file_search_call.results"]}, {}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {}}, {}),
        ({"parallel_tool_calls": False, "tool_choice": "auto"}, {}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required", "tools": [FIND]},
            {"parallel_tool_calls": False, "tool_choice": "required", "tools": [AS_CHAT]},
        ),
        (
            {"tools": [FIND], "tool_choice": {"type": "function", "name": "find"}},
            {"tools": [AS_CHAT], "tool_choice": {"type": "function", "function": {"name": "find"}}},
        ),
        (
            {
                "tools": [SEARCH, FIND, {**FIND, "name": "buy"}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "find"}],
                },
            },
            {"tools": [AS_CHAT], "tool_choice": "required"},
        ),
        ({"tools": [SEARCH], "tool_choice": "required"}, {}),
        ({"tools": [SEARCH, FIND], "tool_choice": {"type": "file_search"}}, {"tools": [AS_CHAT]}),
        ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"text": {"verbosity": "low"}, "truncation": "auto", "store": False, "max_tool_calls": 1}, {}),
    ],
    ids=str,
)
def test_a_field_reaches_the_engine_under_the_name_that_chat_has_for_it(
    fields: dict[str, Any], parameters: dict[str, Any]
) -> None:
    assert json.loads(json.dumps(read(**fields)[0].parameters)) == parameters


def test_instructions_come_before_the_conversation() -> None:
    turns = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "How long?"}]
    question, _ = read(instructions="Be brief.", input=turns)
    assert list(question.messages) == [
        Message("system", "Be brief."),
        Message("system", "Be kind."),
        Message("user", "How long?"),
    ]
    assert list(read(instructions="")[0].messages) == [Message("user", "How long?")]


def test_the_question_has_what_the_request_says_of_itself() -> None:
    question, _ = read(stream=True, braid={"adapter": False})
    assert question.id.startswith("resp_")
    assert (question.model, question.stream, question.request_id) == ("base", True, "req_1")
    assert question.options is not None
    assert not question.options.adapter
    assert not read()[0].stream


@pytest.mark.parametrize(
    ("fields", "conversation"),
    [
        ({}, None),
        ({"prompt_cache_key": ""}, None),
        ({"prompt_cache_key": "thread-1"}, "thread-1"),
        ({"metadata": {"conversation_id": "thread-2", "user": "u"}}, "thread-2"),
        ({"metadata": {"user": "u"}}, None),
        ({"prompt_cache_key": "thread-1", "metadata": {"conversation_id": "thread-2"}}, "thread-1"),
    ],
)
def test_a_conversation_is_known_by_its_cache_key_or_by_its_metadata(
    fields: dict[str, Any], conversation: str | None
) -> None:
    assert read(**fields)[0].conversation == conversation


@pytest.mark.parametrize(
    ("fields", "structured", "is_json"),
    [
        ({}, False, False),
        ({"text": {"format": {"type": "text"}}}, False, False),
        ({"text": {"format": {"type": "json_object"}}}, True, True),
        ({"tools": [FIND]}, True, False),
        ({"tools": [SEARCH]}, False, False),
    ],
)
def test_only_an_answer_of_a_prescribed_form_has_no_marks(
    fields: dict[str, Any], structured: bool, is_json: bool
) -> None:
    question, _ = read(**fields)
    assert (question.structured, question.is_json) == (structured, is_json)


def test_a_search_has_the_defaults_of_a_release() -> None:
    search = read(tools=[SEARCH])[0].retrieval
    assert search is not None
    assert (search.vector_stores, search.top_k, search.score_threshold, search.mode) == (("vs_1",), 5, 0.0, "required")
    assert (search.least_probability, search.when) == (LEAST_PROBABILITY, "auto")


def test_a_search_is_done_as_its_tool_says() -> None:
    tool = {
        **SEARCH,
        "vector_store_ids": ["vs_2", "vs_1", "vs_2"],
        "max_num_results": 50,
        "ranking_options": {"ranker": "auto", "score_threshold": 0.5, "least_probability": 0},
        "filters": {"type": "eq", "key": "area", "value": "kettles"},
    }
    search = read(tools=[tool], tool_choice="required")[0].retrieval
    assert search is not None
    assert (search.vector_stores, search.top_k, search.score_threshold) == (("vs_2", "vs_1"), 50, 0.5)
    assert (search.least_probability, search.when) == (0, "always")
    assert search.filters == tool["filters"]
    assert read(tools=[tool], tool_choice="none")[0].retrieval is None


def test_a_search_that_is_not_allowed_is_not_made() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "find"}]}
    assert read(tools=[SEARCH, FIND], tool_choice=choice)[0].retrieval is None
    choice["tools"] = [{"type": "file_search"}]
    question, tools = read(tools=[SEARCH, FIND], tool_choice=choice)
    assert question.retrieval is not None
    assert question.retrieval.when == "auto"
    assert "tools" not in question.parameters
    assert len(tools.echo) == 2, "the response repeats the tools as they came"
    question, _ = read(tools=[SEARCH, FIND], tool_choice={**choice, "mode": "required"})
    assert question.retrieval is not None
    assert question.retrieval.when == "always", "nothing else is left to do"
    search_by_name = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "file_search"}]}
    assert read(tools=[SEARCH, {**FIND, "name": "file_search"}], tool_choice=search_by_name)[0].retrieval is None


def test_a_tool_that_is_not_allowed_is_checked_and_named_by_its_place() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "buy"}]}
    bad = {**FIND, "name": "buy", "parameters": []}
    assert refusal(tools=[SEARCH, FIND, bad], tool_choice=choice).param == "tools[2].parameters"
    assert refusal(tools=[{"type": "web_search"}, {**FIND, "name": "buy"}], tool_choice=choice).param == "tools[0].type"


def test_tools_are_listed_in_their_order_as_they_came() -> None:
    _, tools = read(tools=[FIND, SEARCH, {"type": "function", "name": "look"}])
    assert [tool.__struct_config__.tag for tool in tools.echo] == ["function", "file_search", "function"]
    assert [tool["function"]["name"] for tool in tools.functions] == ["find", "look"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": [FIND, {"type": "function", "name": "a b"}]}, "tools[1].name", None),
        ({"tools": [FIND, {"type": "function"}]}, "tools[1].name", None),
        ({"tools": [FIND, {"type": "function", "name": "f", "parameters": []}]}, "tools[1].parameters", None),
        ({"tools": [{"name": "find"}]}, "tools[0].type", "unsupported_tool"),
        ({"tools": [{**SEARCH, "vector_store_ids": ["vs"] * 65}]}, "tools[0]", None),
        ({"tools": [{**SEARCH, "max_num_results": 0}]}, "tools[0]", None),
        ({"tools": [{**SEARCH, "max_num_results": 51}]}, "tools[0]", None),
        ({"tools": [{**SEARCH, "ranking_options": {"score_threshold": 1.1}}]}, "tools[0]", None),
        ({"tools": [{**SEARCH, "ranking_options": {"least_probability": -0.1}}]}, "tools[0]", None),
        ({"tool_choice": {"type": "function"}}, "tool_choice", None),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice", None),
        ({"text": {"format": {"type": "json_schema", "name": "a b", "schema": {}}}}, "text.format.name", None),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"maxItems": 10_001}}}},
            "text.format.schema",
            "schema_too_large",
        ),
        ({"temperature": 2.01}, "temperature", None),
        ({"temperature": -0.01}, "temperature", None),
        ({"top_p": 1.01}, "top_p", None),
        ({"top_p": -0.01}, "top_p", None),
        ({"top_logprobs": 21}, "top_logprobs", None),
        ({"top_logprobs": -1}, "top_logprobs", None),
        ({"max_tool_calls": 0}, "max_tool_calls", None),
        ({"truncation": "middle"}, "truncation", None),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"reasoning": {"effort": "e" * 33}}, "reasoning.effort", None),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_by_the_name_that_the_request_has_for_it(
    fields: dict[str, Any], param: str, code: str | None
) -> None:
    error = refusal(**fields)
    assert (error.param, error.code) == (param, code)
    assert "response_format" not in error.message
    assert ".function" not in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 1},
        {"max_completion_tokens": 5},
        {"stop": "x"},
        {"n": 2},
        {"functions": [{"name": "f"}]},
        {"guided_json": {"type": "object"}},
        {"guided_choice": ["yes", "no"]},
        {"guided_regex": "a+"},
        {"guided_grammar": "root ::= x"},
        {"structured_outputs": {"choice": ["yes"]}},
    ],
)
def test_a_member_of_chat_or_of_vllm_without_which_the_answer_is_another_one_is_refused(fields: dict[str, Any]) -> None:
    error = refusal(**fields)
    assert (error.param, error.code) == (next(iter(fields)), "unsupported_parameter")


def test_a_member_of_chat_that_changes_nothing_is_no_reason_to_refuse() -> None:
    nothing = {"response_format": {"type": "text"}, "guided_json": None, "structured_outputs": {}}
    assert read(n=1, stop=[], max_tokens=None, functions=[], seed=5, **nothing)[0].model == "base"


@pytest.mark.parametrize(
    "fields", [{"background": False}, {"prompt": None}, {"previous_response_id": ""}, {"conversation": None}]
)
def test_what_is_not_kept_here_may_be_said_not_to_be_wanted(fields: dict[str, Any]) -> None:
    assert read(**fields)[0].model == "base"


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tool_choice": "required", "tools": []},
        {"tool_choice": {"type": "function", "name": "look"}, "tools": [FIND]},
        {"tool_choice": {"type": "function", "name": "find"}, "tools": [SEARCH]},
        {"tool_choice": {"type": "file_search"}, "tools": [FIND]},
    ],
)
def test_a_call_that_cannot_be_made_is_refused_by_name(fields: dict[str, Any]) -> None:
    assert refusal(**fields).param == "tool_choice"


def test_a_whole_number_may_have_a_point() -> None:
    assert read(max_output_tokens=100.0)[0].parameters == {"max_tokens": 100}
