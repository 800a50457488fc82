import json
from typing import Any

import pytest

from gateway.chat.request import decode_request
from gateway.errors import BadRequest

HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
         "messages[0].content"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"braid": {"adaptor": False}}, "braid"),
        ({"model": None}, "model"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(change: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request(json.dumps({**HI, **change}).encode())
    assert caught.value.param == param


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    assert decode_request(b"\xef\xbb\xbf" + json.dumps(HI).encode()).model == HI["model"]


@pytest.mark.parametrize("text", [None, 5])
def test_a_text_part_without_text_is_not_said_to_be_of_another_type(text: object) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    with pytest.raises(BadRequest, match="has no text"):
        decode_request(json.dumps({**HI, "messages": messages}).encode())


@pytest.mark.parametrize("model", ["m" * 256, "a\0b", "a\nb"])
def test_a_model_that_no_name_can_be_is_refused(model: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request(json.dumps({**HI, "model": model}).encode())
    assert caught.value.param == "model"
    assert "control character" in caught.value.message or "length <= 255" in caught.value.message


def test_so_many_messages_are_taken_and_no_more() -> None:
    most = {**HI, "messages": [{"role": "user", "content": "Hi"}] * 2048}
    assert len(decode_request(json.dumps(most).encode()).messages) == 2048
    more = {**HI, "messages": [{"role": "user", "content": "Hi"}] * 2049}
    with pytest.raises(BadRequest) as caught:
        decode_request(json.dumps(more).encode())
    assert caught.value.param == "messages"


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = {key: value for key, value in HI.items() if key != missing}
    with pytest.raises(BadRequest) as caught:
        decode_request(json.dumps(body).encode())
    assert caught.value.param == missing


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"hi"', b"\xff\xfe", b'{"model": "m", "messages": [}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_request(body)


def test_text_parts_become_text() -> None:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello"}]
    request = decode_request(json.dumps({**HI, "messages": [{"role": "user", "content": parts}]}).encode())
    assert request.messages[0].content == "Say\nhello"


def test_unknown_fields_are_ignored() -> None:
    body = {**HI, "cache_salt": "mine", "priority": 3, "verbosity": "low", "user": "u"}
    request = decode_request(json.dumps(body).encode())
    assert not hasattr(request, "cache_salt")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"guided_json": {"type": "object"}}, "guided_json"),
        ({"guided_choice": ["yes", "no"]}, "guided_choice"),
        ({"guided_regex": "a+"}, "guided_regex"),
        ({"guided_grammar": "root ::= x"}, "guided_grammar"),
        ({"structured_outputs": {"choice": ["yes"]}}, "structured_outputs"),
        ({"max_output_tokens": 5}, "max_output_tokens"),
        ({"instructions": "Be brief."}, "instructions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "omni"}}, "moderation"),
    ],
)
def test_what_would_be_answered_as_if_it_had_not_been_asked_is_refused(fields: dict[str, Any], param: str) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "Hello"}]}
    with pytest.raises(BadRequest) as caught:
        decode_request(json.dumps(body | fields).encode())
    assert caught.value.param == param


def test_text_and_nothing_else_may_be_asked_for_by_name() -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "Hello"}], "modalities": ["text"]}
    assert decode_request(json.dumps(body | {"functions": None, "function_call": None}).encode()).functions is None
