"""A request's items → the conversation that the engine gets; what can't be answered is refused by its place."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.answering.question import Message
from gateway.errors import BadRequest
from gateway.responses.input_items import to_messages

CALL = {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Oslo"}
MADE = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ("Hi", [Message("user", "Hi")]),
        ([{"role": "developer", "content": "Be brief."}], [Message("system", "Be brief.")]),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": t} for t in ("a", "b")]}],
            [Message("user", "a\nb")],
        ),
        (
            [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
            [Message("assistant", "No.")],
        ),
        (
            [{"role": "user", "content": "Where?"}, CALL, {**CALL, "call_id": "call_2"}, OUTPUT],
            [
                Message("user", "Where?"),
                Message("assistant", None, tool_calls=[MADE, {**MADE, "id": "call_2"}]),
                Message("tool", "Oslo", tool_call_id="call_1"),
            ],
        ),
        (
            [{"role": "assistant", "content": "I look."}, CALL],
            [Message("assistant", "I look.", tool_calls=[MADE])],
        ),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "file_search_call", "id": "fs_1"}, OUTPUT],
            [Message("tool", "Oslo", tool_call_id="call_1")],
        ),
    ],
)
def test_items_become_messages(items: Any, messages: list[Message]) -> None:
    assert to_messages(items) == messages


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "boss", "content": "Hi"}, "input[0].role"),
        ({"role": "user"}, "input[0].content"),
        ({"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}, "input[0].content"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content"),
        ({"role": "user", "content": ["Hi"]}, "input[0].content"),
        ({"type": "item_reference", "id": "msg_1"}, "input[0].type"),
        ({"id": "msg_1"}, "input[0].type"),
        ({"type": None, "id": "msg_1"}, "input[0].type"),
        ({"type": "computer_call"}, "input[0].type"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"}, "input[0].type"),
        ({"type": ["message"], "role": "user", "content": "Hi"}, "input[0].type"),
        ({"role": {"a": 1}, "content": "Hi"}, "input[0].role"),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}, "input[0].content"),
        ({"role": "user", "content": [{"type": {}, "text": "Hi"}]}, "input[0].content"),
        ({**OUTPUT, "output": None}, "input[0].output"),
        ({**OUTPUT, "output": [{"type": "input_image", "image_url": "x"}]}, "input[0].output"),
        ({"content": "Hi"}, "input[0].type"),
        ({**CALL, "name": None}, "input[0].name"),
        ({**OUTPUT, "call_id": 1}, "input[0].call_id"),
        ({"type": "reasoning"}, "input"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_its_place(item: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        to_messages([item])
    assert refusal.value.param == param


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["message", "user", "text", "Hi"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text"]), inner, max_size=2),
    max_leaves=4,
)
MEMBERS = st.sampled_from(["type", "role", "content", "call_id", "name", "arguments", "output", "id"])
KINDS = st.sampled_from(["message", "function_call", "function_call_output", "item_reference", "reasoning"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(MEMBERS, JSON | KINDS, max_size=5), min_size=1, max_size=2))
def test_whatever_items_hold_they_are_messages_or_refused(items: list[dict[str, Any]]) -> None:
    with suppress(BadRequest):
        assert to_messages(items)


def test_a_reference_to_a_stored_item_is_refused_with_what_the_client_can_do() -> None:
    with pytest.raises(BadRequest, match="'store' false"):
        to_messages([{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": "msg_1"}])
