"""A response repeats what it was asked with, and says what it cites and what it cost."""

import json
from typing import Any

import msgspec
import pytest

from gateway.answering.compose import ComposedPrompt
from gateway.answering.engine_answer import CompletionTokensDetails, PromptTokensDetails, TokenUsage, decode_answer
from gateway.answering.ranking import RankedPassage
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.answering.trace import AnswerTrace
from gateway.responses.output import ResponseBuilder
from gateway.responses.request import decode_request, to_question
from prompts import Rendering
from tests.fakes.passages import make_passage

FIND = {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": None, "description": None}
REPEATED: dict[str, Any] = {
    "instructions": "Be brief.",
    "max_output_tokens": 7,
    "max_tool_calls": 2,
    "parallel_tool_calls": False,
    "prompt_cache_key": "thread-1",
    "reasoning": {"effort": "low", "summary": None},
    "temperature": 0.0,
    "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    "tool_choice": {"type": "function", "name": "find"},
    "tools": [FIND],
    "top_logprobs": 3,
    "top_p": 0.5,
    "truncation": "auto",
    "metadata": {"user": "u"},
}
DEFAULTS: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}, "verbosity": None},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "metadata": {},
    "background": False,
    "previous_response_id": None,
    "service_tier": "default",
    "object": "response",
    "error": None,
}


def build(message: dict[str, Any], target: Target | None = None, **fields: Any) -> tuple[ResponseBuilder, Any]:
    """The response of an engine's message, and its builder with two passages in the prompt, the first with a copy."""
    request = decode_request(json.dumps({"model": "support", "input": "How long?", **fields}).encode())
    question, tools = to_question(request)
    trace = AnswerTrace("kestrel", question, created=7, target=target or Target("base"))
    one, two = (make_passage("vs", number, f"Fact {number}.") for number in (1, 2))
    copy = make_passage("vs", 3, "fact 1.", filename="")
    hits = (RankedPassage(one, (copy,)), RankedPassage(two))
    trace.evidence = Evidence("found", (one, two), {"vs": 4}, hits=hits)
    trace.prompt = ComposedPrompt(b"", Rendering([], [1, 2], [], 0, {}))
    trace.usage = TokenUsage(5, 2, 7, PromptTokensDetails(3), CompletionTokensDetails(1))
    builder = ResponseBuilder(trace, request, tools)
    answer = decode_answer(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    return builder, msgspec.to_builtins(builder.build_whole(answer))


def test_what_was_asked_for_is_repeated() -> None:
    _, response = build({"content": "{}"}, **REPEATED)
    assert {name: response[name] for name in REPEATED} == REPEATED


def test_what_nobody_asked_for_has_openai_s_defaults() -> None:
    _, response = build({"content": "31."})
    assert {name: response[name] for name in DEFAULTS} == DEFAULTS
    assert (response["model"], response["created_at"], response["id"][:5]) == ("support", 7, "resp_")


@pytest.mark.parametrize(("own", "shown"), [({}, (0.25, 0.75)), ({"temperature": 0, "top_p": 0}, (0, 0))])
def test_a_release_s_sampling_is_shown_where_the_request_has_none(own: Any, shown: tuple[float, float]) -> None:
    target = Target("base", sampling={"temperature": 0.25, "top_p": 0.75})
    _, response = build({"content": "31."}, target, **own)
    assert (response["temperature"], response["top_p"]) == shown


def test_the_usage_tells_cached_tokens_and_thoughts() -> None:
    builder, response = build({"content": "31."})
    assert response["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 7,
    }
    builder.trace.usage = TokenUsage(5, 2, 7)
    plain = builder.build([], "stop").usage
    assert plain is not None
    assert (plain.input_tokens_details.cached_tokens, plain.output_tokens_details.reasoning_tokens) == (0, 0)
    builder.trace.usage = None
    assert builder.build([], "stop").usage is None


def test_a_mark_cites_its_passage_and_each_document_that_says_the_same() -> None:
    _, response = build({"content": "31 [1], or 42 [2]."})
    (message,) = response["output"]
    url = f"/api/answers/{response['id']}/citations"
    assert message["content"][0]["annotations"] == [
        {"type": "url_citation", "start_index": 3, "end_index": 6, "url": f"{url}/1", "title": "1.md"},
        {
            "type": "url_citation",
            "start_index": 3,
            "end_index": 6,
            "url": f"{url}/1?document_id=doc_3",
            "title": "Part 3",
        },
        {"type": "url_citation", "start_index": 14, "end_index": 17, "url": f"{url}/2", "title": "2.md"},
    ]


def test_stores_that_the_request_names_have_their_files_cited() -> None:
    search = {"type": "file_search", "vector_store_ids": ["vs"]}
    _, response = build({"content": "31 [1]."}, tools=[search], include=["file_search_call.results"])
    found, message = response["output"]
    assert [(one["type"], one["file_id"], one["index"]) for one in message["content"][0]["annotations"]] == [
        ("file_citation", "file-1", 3),
        ("file_citation", "file-3", 3),
    ]
    assert [(result["file_id"], result["text"], result["score"]) for result in found["results"]] == [
        ("file-1", "Fact 1.", 0.9),
        ("file-2", "Fact 2.", 0.8),
    ]
    assert build({"content": "31 [1]."}, tools=[search])[1]["output"][0]["results"] is None


def test_thoughts_and_text_are_without_addresses_that_the_prompt_had_not() -> None:
    builder, response = build({"reasoning": "See [a](https://e.x).", "content": "At https://e.x/q it is."})
    thought, message = response["output"]
    assert thought["content"][0]["text"] == "See a."
    assert message["content"][0]["text"] == "At (link removed) it is."
    assert builder.trace.removed_links == response["braid"]["removed_links"] == 2


@pytest.mark.parametrize(
    ("message", "kinds"),
    [
        ({"content": None}, ["message"]),
        ({"content": "", "tool_calls": [{"id": "call_1", "function": {"name": "find"}}]}, ["function_call"]),
        ({"refusal": "No.", "content": "Yes."}, ["message"]),
        ({"reasoning": "Hm.", "content": None}, ["reasoning", "message"]),
    ],
)
def test_an_answer_has_at_least_one_item_and_none_that_says_nothing(message: dict[str, Any], kinds: list[str]) -> None:
    _, response = build(message)
    assert [item["type"] for item in response["output"]] == kinds


def test_a_call_without_an_id_or_arguments_gets_what_a_client_needs() -> None:
    _, response = build({"tool_calls": [{"function": {"name": "find"}}, {}]})
    first, second = response["output"]
    assert (first["name"], first["arguments"], second["name"]) == ("find", "{}", "")
    assert first["call_id"].startswith("call_")
    assert first["call_id"] != second["call_id"]


def test_log_probabilities_are_given_only_to_who_asked_for_them() -> None:
    request = decode_request(b'{"model": "m", "input": "Hi"}')
    question, tools = to_question(request)
    token = {"token": "31", "logprob": -0.1}
    answer = decode_answer(
        json.dumps(
            {"choices": [{"message": {"content": "31"}, "logprobs": {"content": [token]}, "finish_reason": "stop"}]}
        ).encode()
    )
    for asked, shown in ((request, []), (msgspec.structs.replace(request, top_logprobs=1), [token])):
        built = msgspec.to_builtins(ResponseBuilder(AnswerTrace("kestrel", question), asked, tools).build_whole(answer))
        assert built["output"][0]["content"][0]["logprobs"] == shown
        assert built["status"] == "completed"
