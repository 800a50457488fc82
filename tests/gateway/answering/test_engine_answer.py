import json

import pytest

from gateway.answering.engine_answer import (
    BrokenAnswer,
    CompletionTokensDetails,
    EventReader,
    PromptTokensDetails,
    TokenUsage,
    decode_answer,
    decode_event,
)

STREAM = b': keep-alive\n\ndata: {"n":1}\n\ndata:{"n":2}\n\nevent: x\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("size", range(1, 20))
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_any_split_of_the_bytes_gives_the_same_events(size: int, newline: bytes) -> None:
    raw, reader = STREAM.replace(b"\n", newline), EventReader()
    events = [event for at in range(0, len(raw), size) for event in reader.feed(raw[at : at + size])]
    assert events == [b'{"n":1}', b'{"n":2}']
    assert reader.is_whole


def test_data_is_found_behind_other_fields_comments_and_spare_newlines() -> None:
    raw = b'event: delta\nid: 7\ndata: {"n":1}\n\n\ndata: {"n":2}\n\n: ping\ndata: {"n":\ndata: 3}\nretry: 5\n\n'
    reader = EventReader()
    assert reader.feed(raw) == [b'{"n":1}', b'{"n":2}', b'{"n":\n3}']
    assert reader.feed(b"id: 8\ndata: [DONE]\n\n") == []
    assert reader.is_whole


def test_a_stream_is_not_done_before_the_engine_says_so() -> None:
    reader = EventReader()
    assert reader.feed(STREAM[:-2]) == [b'{"n":1}', b'{"n":2}']
    assert not reader.is_whole


def test_an_endless_event_is_cut_off() -> None:
    reader = EventReader()
    for _ in range(8):
        assert reader.feed(b"x" * 1_000_000) == []
    with pytest.raises(BrokenAnswer, match="too long"):
        reader.feed(b"x" * 1_000_000)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"choices": {}}', b"[" * 100_000])
def test_data_that_cannot_be_read_is_a_broken_answer(data: bytes) -> None:
    with pytest.raises(BrokenAnswer, match="can't be read"):
        decode_event(data)
    with pytest.raises(BrokenAnswer, match="can't be read"):
        decode_answer(data)


def test_an_answer_without_a_choice_is_none() -> None:
    with pytest.raises(BrokenAnswer) as caught:
        decode_answer(b'{"choices": [], "usage": {"prompt_tokens": 5}}')
    assert caught.value.code == "engine_error"


def test_an_error_in_mid_stream_is_a_broken_answer() -> None:
    with pytest.raises(BrokenAnswer, match="reported an error"):
        decode_event(b'{"error":{"message":"boom","code":500}}')


def test_usage_is_counted_without_what_only_one_engine_has() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3, "multimodal_tokens": None, "created_cache_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
        "kv_transfer": 9,
    }
    answer = decode_answer(json.dumps({"choices": [{"finish_reason": "stop"}], "usage": usage}).encode())
    assert answer.usage is not None
    expected = TokenUsage(5, 2, 7, PromptTokensDetails(3), CompletionTokensDetails(1))
    assert answer.usage.to_token_usage() == expected


def test_usage_with_nulls_is_zeros_without_details() -> None:
    event = decode_event(
        b'{"choices":[],"usage":{"prompt_tokens":null,"prompt_tokens_details":{"cached_tokens":null}}}'
    )
    assert event.usage is not None
    assert event.usage.to_token_usage() == TokenUsage(0, 0, 0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        *((reason, reason) for reason in ("stop", "length", "tool_calls", "content_filter")),
        ("repetition", "length"),
    ],
)
def test_a_choice_ends_in_words_that_clients_know(said: str, told: str) -> None:
    data = json.dumps({"choices": [{"index": 0, "finish_reason": said}]}).encode()
    assert decode_answer(data).choices[0].finish_reason == told
    assert decode_event(data).choices[0]["finish_reason"] == told


def test_an_empty_reason_is_no_end() -> None:
    data = json.dumps({"choices": [{"index": 0, "delta": {"content": "It"}, "finish_reason": ""}]}).encode()
    assert decode_event(data).choices[0]["finish_reason"] is None


@pytest.mark.parametrize("ends", [["stop", None], ["stop", ""], [None], ["stop"]])
def test_a_whole_answer_has_as_many_ends_as_choices_were_asked_for(ends: list[str | None]) -> None:
    data = json.dumps({"choices": [{"index": n, "finish_reason": end} for n, end in enumerate(ends)]}).encode()
    with pytest.raises(BrokenAnswer, match="before the answer's end") as caught:
        decode_answer(data, 2)
    assert caught.value.code == "engine_error"


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_what_an_engine_gave_up_is_no_answer(reason: str) -> None:
    data = json.dumps({"choices": [{"index": 0, "finish_reason": reason}]}).encode()
    for decode, code in ((decode_answer, "engine_error"), (decode_event, "stream_interrupted")):
        with pytest.raises(BrokenAnswer) as caught:
            decode(data)
        assert caught.value.code == code
