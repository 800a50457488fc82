"""The chat request that a row becomes, and who is asked again when it can't be answered."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from gateway.errors import BadRequest, BraidError, Internal, NotFound, Unavailable
from gateway.evals.data_sources import RunDataSource, make_body
from gateway.evals.item_answers import AnswerUsage, Asker, ItemAnswer, ItemFailed
from gateway.evals.templates import UnknownPlace
from gateway.jobs import JobDelayed, JobFailed
from gateway.tenants.authenticator import Principal

_SOURCES: TypeAdapter[Any] = TypeAdapter(RunDataSource)
ROWS = {"type": "file_id", "id": "file-1"}
CALL = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}


def body_of(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {"type": "completions", "source": ROWS, "model": "support", **more}
    return make_body(_SOURCES.validate_python(source), item)


def refer(place: str) -> dict[str, Any]:
    return {"input_messages": {"type": "item_reference", "item_reference": place}}


def test_a_rows_own_messages_go_with_their_calls_and_without_what_chat_does_not_know() -> None:
    chat = [
        {"role": "developer", "content": "Be brief.", "type": "message"},
        {"role": "user", "content": "Where is it?", "id": "msg_1"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "Here.", "tool_call_id": "1", "status": "completed"},
    ]
    assert body_of({"chat": chat}, **refer("item.chat"))["messages"] == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "Here.", "tool_call_id": "1"},
    ]


def test_a_text_at_the_place_of_messages_is_a_users_question() -> None:
    assert body_of({"q": "Why?"}, **refer("item.q"))["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    "chat", [3, {"role": "user", "content": "x"}, ["Why?"], [{"role": "bot", "content": "x"}], [{"content": "x"}]]
)
def test_what_is_no_list_of_messages_is_an_error_that_names_its_place(chat: Any) -> None:
    with pytest.raises(UnknownPlace, match=r"'item\.chat'.*'role' and 'content'"):
        body_of({"chat": chat}, **refer("item.chat"))


def test_only_the_sampling_that_is_named_goes_into_the_request_beside_the_seed() -> None:
    plain = body_of({"q": "Why?"}, **refer("item.q"))
    assert plain == {"model": "support", "messages": [{"role": "user", "content": "Why?"}], "seed": 42}
    params = {"seed": 0, "temperature": 0, "reasoning_effort": "low", "response_format": {"type": "json_object"}}
    named = body_of({"q": "Why?"}, **refer("item.q"), sampling_params=params)
    assert named == plain | params


def test_the_format_and_functions_of_responses_get_the_level_that_chat_has() -> None:
    tool = {"type": "function", "name": "find", "description": "Finds.", "strict": None, "parameters": None}
    params = {"text": {"format": {"type": "json_object"}}, "tools": [tool]}
    body = body_of({"q": "Why?"}, **refer("item.q"), type="responses", sampling_params=params)
    assert body["response_format"] == {"type": "json_object"}
    assert body["tools"] == [{"type": "function", "function": {"name": "find", "description": "Finds."}}]
    assert "text" not in body


class Engines:
    """Fails with these errors, one after the other, and then answers."""

    def __init__(self, *errors: BraidError) -> None:
        self._errors = list(errors)
        self.asked = 0

    async def complete(self, _: Principal, body: Mapping[str, Any]) -> tuple[bytes, bytes]:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        message = {"content": None, "tool_calls": [CALL]}
        completion = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "id": "chatcmpl-1"}
        return json.dumps(completion).encode(), json.dumps({"seed": body["seed"]}).encode()

    async def ask(self) -> ItemAnswer:
        asker = Asker(self.complete, Principal("t", "", "k", frozenset()), pauses=(0.0, 0.0, None))
        return await asker.ask({"model": "support", "messages": [], "seed": 4})


async def test_an_answer_that_is_a_call_has_no_text_and_says_what_it_was_made_with() -> None:
    answer = await Engines().ask()
    assert (answer.model, answer.text, answer.finish_reason, answer.id) == ("support", "", "tool_calls", "chatcmpl-1")
    assert (answer.tool_calls, answer.parameters.seed, answer.usage.total_tokens) == ([CALL], 4, 0)


@pytest.mark.parametrize(
    ("errors", "raised", "asked"),
    [
        ([Internal("x"), Internal("x")], None, 3),
        ([Internal("x")] * 3, ItemFailed, 3),
        ([BadRequest("x", code="context_length_exceeded")], ItemFailed, 1),
        ([NotFound("x", code="model_not_found")], JobFailed, 1),
        ([NotFound("x", code="no_rollout")], JobFailed, 1),
        ([NotFound("x", code="prompt_not_found")], ItemFailed, 1),
        ([Unavailable("x")], JobDelayed, 1),
    ],
)
async def test_what_an_error_ends_and_what_is_asked_again(
    errors: list[BraidError], raised: type[Exception] | None, asked: int
) -> None:
    engines = Engines(*errors)
    if raised is None:
        assert (await engines.ask()).id == "chatcmpl-1"
    else:
        with pytest.raises(raised):
            await engines.ask()
    assert engines.asked == asked


@pytest.mark.parametrize(
    ("code", "told"), [("context_length_exceeded", "context_length_exceeded"), (None, "invalid_request")]
)
async def test_an_item_that_cannot_be_asked_says_why(code: str | None, told: str) -> None:
    with pytest.raises(ItemFailed) as failed:
        await Engines(BadRequest("It is too long.", code=code)).ask()
    assert failed.value.describe() == {"code": told, "message": "It is too long."}


def test_tokens_from_the_prefix_cache_are_counted_by_themselves() -> None:
    usage = msgspec.convert({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, AnswerUsage)
    assert (usage.prompt_tokens, usage.cached_tokens, AnswerUsage().cached_tokens) == (9, 4, 0)
