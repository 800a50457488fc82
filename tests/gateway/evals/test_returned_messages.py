"""A client feeds back what it was given: a message that an API answered is taken wherever messages are."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.chat.request import decode_request as decode_chat
from gateway.evals.criteria import EvalMessage, text_of
from gateway.evals.data_sources import RunDataSource, make_body
from gateway.responses.input_items import to_messages
from training.dataset import check_rows
from training.preference_rows import check_preference_rows

USER = {"role": "user", "content": "Is it open?"}
MARK = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 3, "url": "/x", "title": "Hours"}}
NULLS = dict.fromkeys(("refusal", "audio", "function_call", "tool_calls"))
OF_CHAT: dict[str, dict[str, Any]] = {
    "OpenAI's": {"role": "assistant", "content": "Yes [1].", **NULLS, "annotations": []},
    "with marks": {"role": "assistant", "content": "Yes [1].", "refusal": None, "annotations": [MARK]},
    "with an id": {"id": "msg_1", "role": "assistant", "content": "Yes [1].", "tool_calls": []},
    "with thoughts": {
        "role": "assistant",
        "content": "Yes [1].",
        "reasoning": "It is nine.",
        "reasoning_content": "So.",
    },
}
PART = {
    "type": "output_text",
    "text": "Yes [1].",
    "annotations": [{"type": "file_citation", "index": 4}],
    "logprobs": [],
}
OF_RESPONSES: dict[str, dict[str, Any]] = {
    "OpenAI's": {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]},
    "with a phase": {"id": "msg_1", "type": "message", "role": "assistant", "content": [PART], "phase": "final_answer"},
}
REFUSALS: dict[str, dict[str, Any]] = {
    "in chat": {"role": "assistant", "content": None, "refusal": "Yes [1].", "annotations": []},
    "in a response": {
        **{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"},
        "content": [{"type": "refusal", "refusal": "Yes [1]."}],
    },
}
EVERY = [*OF_CHAT.values(), *OF_RESPONSES.values(), *REFUSALS.values()]


@pytest.mark.parametrize("message", EVERY)
def test_chat_takes_a_message_that_an_api_answered(message: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "messages": [USER, message, USER]}).encode()
    assert decode_chat(body).messages[1].content == "Yes [1]."


@pytest.mark.parametrize("message", EVERY)
def test_responses_take_a_message_that_an_api_answered(message: dict[str, Any]) -> None:
    assert to_messages([USER, message])[1].content == "Yes [1]."


@pytest.mark.parametrize("message", EVERY)
def test_evals_take_a_message_that_an_api_answered_and_keep_its_text(message: dict[str, Any]) -> None:
    kept = EvalMessage.model_validate(message)
    assert text_of(kept) == "Yes [1]."
    assert kept.model_dump(exclude_none=True).keys() <= {"role", "content", "type"}


@pytest.mark.parametrize("message", EVERY)
def test_a_row_of_a_run_may_have_a_message_that_an_api_answered(message: dict[str, Any]) -> None:
    source: Any = TypeAdapter[Any](RunDataSource).validate_python(
        {
            "type": "completions",
            "model": "m",
            "source": {"type": "file_content", "content": [{"item": {"talk": [USER, message, USER]}}]},
            "input_messages": {"type": "item_reference", "item_reference": "item.talk"},
        }
    )
    body = make_body(source, source.source.content[0].item)
    assert decode_chat(json.dumps(body).encode()).messages[1].content == "Yes [1]."


@pytest.mark.parametrize("message", OF_CHAT.values())
def test_a_training_row_may_have_a_message_that_an_api_answered(message: dict[str, Any]) -> None:
    row = {"messages": [USER, message]}
    assert check_rows(json.dumps(row).encode()).problems == []
    preference = {
        "input": {"messages": [USER, message, USER]},
        "preferred_output": [message],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }
    assert check_preference_rows(json.dumps(preference).encode()).problems == []


@pytest.mark.parametrize(
    "beside",
    [
        {"contents": "No."},
        {"audio": {"id": "audio_1"}},
        {"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "stock", "arguments": "{}"}}]},
        {"function_call": {"name": "stock", "arguments": "{}"}},
    ],
)
def test_what_says_more_than_a_text_is_still_refused(beside: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "Yes.", **beside}
    with pytest.raises(ValidationError):
        EvalMessage.model_validate(message)
    assert check_rows(json.dumps({"messages": [USER, message]}).encode()).problems


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": None, "refusal": "No."},
        {"role": "assistant", "content": "Yes.", "refusal": "No."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No.", "contents": "x"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No.", "text": "Yes."}]},
    ],
)
def test_evals_drop_nothing_that_no_refusal_of_an_api_has(message: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvalMessage.model_validate(message)
