import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.answering.compose import ComposedPrompt
from gateway.answering.engine_answer import BrokenAnswer, EventReader, TokenUsage
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.answering.trace import AnswerTrace
from gateway.chat import stream
from gateway.chat.stream import DONE_EVENT, ChunkEncoder
from prompts import Rendering
from tests import fakes
from tests.contract.openai.strict import find_problems
from tests.fakes.passages import make_passage

CONSTANT = {"id": "chatcmpl-1", "created": 7, "model": "support", "system_fingerprint": "rel_1"}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "t.style.abc", "choices": [choice]}
    return b"data: " + json.dumps({**body, **more}, separators=(",", ":")).encode() + b"\n\n"


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
LAST = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"t","choices":[],"usage":%s}\n\n' % (
    json.dumps(USAGE, separators=(",", ":")).encode()
)
STREAM = (
    chunk({"role": "assistant", "content": ""})
    + chunk({"content": "It costs "})
    + chunk({"content": "€89 ["})
    + chunk({"content": "1"})
    + chunk({"content": "] or [5]"})
    + chunk({"content": "."}, "stop", system_fingerprint="vllm-0.32", stop_reason=None)
    + LAST
    + DONE_EVENT
)


def plain_trace() -> AnswerTrace:
    """An answer of a release without documents."""
    question = Question("chatcmpl-1", "support", [Message("user", "What does it cost?")], {}, stream=True)
    return AnswerTrace("kestrel", question, created=7, target=Target("t.style.abc", fingerprint="rel_1"))


def cited_trace() -> AnswerTrace:
    """The same with three passages in the prompt."""
    trace = plain_trace()
    trace.target = Target("t.style.abc", release="support@1", fingerprint="rel_1")
    passages = tuple(make_passage("vs_1", number, f"Fact {number}.") for number in (1, 2, 3))
    trace.evidence = Evidence("found", passages, {"vs_1": 4})
    trace.prompt = ComposedPrompt(b"", Rendering([], [1, 2, 3], [], 0, {}))
    return trace


def encode(
    trace: AnswerTrace,
    raw: bytes,
    size: int | None = None,
    *,
    choices: int = 1,
    include_usage: bool = False,
    functions: bool = False,
) -> tuple[bytes, ChunkEncoder]:
    """Encode a stream that comes in pieces of `size` bytes."""
    reader = EventReader()
    encoder = ChunkEncoder(trace, choices=choices, include_usage=include_usage, functions=functions)
    step = size or len(raw) or 1
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
    return b"".join(encoder.encode(reader.feed(piece)) for piece in pieces), encoder


PIECES = (
    chunk({"content": "It"}),
    chunk({"content": " is"}),
    chunk({"content": ' "so" '}),
    chunk({"content": "a\\"}),
    chunk({"content": ""}),
    chunk({"content": " in 2"}, index=1),
    chunk({"content": " is", "reasoning": "hm"}),
    chunk({"content": " with ids"}).replace(b"null}]}", b'null,"token_ids":null}]}'),
    chunk({"content": " of another"}).replace(b'"id":"x"', b'"id":"y"'),
    chunk({"reasoning": "hm"}),
    chunk({"content": " measured"}, usage=None),
    chunk({"content": " two"})[:-4]
    + b',{"index":1,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}]}\n\n',
    chunk({"content": " the end"}, "stop"),
)


@pytest.mark.parametrize("first", range(len(PIECES)))
def test_an_event_is_the_same_whatever_came_before_it(first: int) -> None:
    """The encoder remembers what stood around the last text, which may be something else around the next one."""
    for second in PIECES:
        alone, _ = encode(plain_trace(), second, choices=3)
        before, _ = encode(plain_trace(), PIECES[first], choices=3)
        behind, _ = encode(plain_trace(), PIECES[first] + second, choices=3)
        assert behind == before + alone
        if second is not PIECES[11]:
            [event] = [json.loads(one[6:]) for one in alone.split(b"\n\n")[:-1]]
            [engines] = json.loads(second[6:])["choices"]
            assert event["choices"][0]["delta"] == engines["delta"]
            assert event["id"] == "chatcmpl-1"


def test_text_is_spliced_without_a_look_into_it_once_an_event_showed_what_is_around_it() -> None:
    with pytest.MonkeyPatch.context() as patch:
        looks: list[bytes] = []
        look = stream._is_just_text
        patch.setattr(stream, "_is_just_text", lambda data: looks.append(data) or look(data))  # pyright: ignore
        encode(plain_trace(), b"".join(chunk({"content": f" word{number}"}) for number in range(20)))
    assert len(looks) == 1


def events(trace: AnswerTrace, raw: bytes, size: int | None = None, **options: Any) -> list[dict[str, Any]]:
    encoded, encoder = encode(trace, raw, size, **options)
    assert encoder.broken is None
    return [json.loads(event.removeprefix("data: ")) for event in encoded.decode().strip().split("\n\n")]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


def test_names_of_the_engine_never_show() -> None:
    chunks = events(plain_trace(), STREAM)
    assert all({key: event[key] for key in CONSTANT} == CONSTANT for event in chunks)
    assert "vllm" not in json.dumps(chunks)
    assert text_of(chunks) == "It costs €89 [1] or [5]."


@pytest.mark.parametrize("name", ["stream", "stream_usage", "stream_n_logprobs", "stream_stop", "stream_tool"])
def test_a_real_engines_events_keep_openais_members_only(name: str) -> None:
    captured = json.loads((Path(fakes.__file__).parent / "captured" / f"{name}.json").read_text())["body"]
    chunks = events(plain_trace(), captured.encode(), choices=2 if "_n_" in name else 1, include_usage=True)
    assert len(chunks) > 1
    for event in chunks:
        assert find_problems(ChatCompletionChunk, event) == []


@pytest.mark.case("chat-usage-null-chunks")
def test_usage_is_noted_and_only_sent_when_asked_for() -> None:
    trace = plain_trace()
    assert all("usage" not in event for event in events(trace, STREAM))
    assert trace.usage == TokenUsage(5, 2, 7)
    sent = events(plain_trace(), STREAM, include_usage=True)
    assert [event["usage"] for event in sent[:-1]] == [None] * (len(sent) - 1)
    assert len(sent) > 3
    assert sent[-1]["usage"] == USAGE
    assert sent[-1]["choices"] == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("make", [plain_trace, cited_trace])
def test_any_split_of_the_bytes_gives_the_same_answer(size: int, newline: bytes, make: Any) -> None:
    assert events(make(), STREAM.replace(b"\n", newline), size) == events(make(), STREAM)


def test_marks_are_checked_and_told_with_the_event_that_ends_the_choice() -> None:
    trace = cited_trace()
    chunks = events(trace, STREAM, include_usage=True)
    assert text_of(chunks) == "It costs €89 [1] or [5]."
    last = chunks[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    (annotation,) = last["choices"][0]["delta"]["annotations"]
    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"] == {
        "start_index": 13,
        "end_index": 16,
        "url": "/api/answers/chatcmpl-1/citations/1",
        "title": "1.md",
    }
    assert last["braid"]["release"] == "support@1"
    assert last["braid"]["index_epochs"] == {"vs_1": 4}
    assert [(source["number"], source["index_epoch"]) for source in last["braid"]["citations"]] == [(1, 4)]
    assert [event for event in chunks if "braid" in event] == [last]
    assert trace.cited == {1}


def test_with_several_choices_the_object_braid_comes_once_at_the_end() -> None:
    stream = (
        chunk({"content": "one [1]"}, index=0)
        + chunk({"content": "two [2]"}, index=1)
        + chunk({"content": ""}, "stop", index=1)
        + chunk({"content": ""}, "length", index=0)
        + DONE_EVENT
    )
    finals = [e for e in events(cited_trace(), stream, choices=2) if e["choices"][0]["finish_reason"]]
    urls = [[a["url_citation"]["url"][-1] for a in final["choices"][0]["delta"]["annotations"]] for final in finals]
    assert urls == [["2"], ["1"]]
    assert ["braid" in event for event in finals] == [False, True]
    assert [source["number"] for source in finals[-1]["braid"]["citations"]] == [1, 2]


@pytest.mark.parametrize(
    "bad",
    [
        b'data: {"choices":[{"index":0,"del\n\n',
        b'data: {"error":{"message":"boom","code":500}}\n\n',
        b"data: not json\n\n",
        b'data: {"choices": [{"finish_reason":"\xff"}]}\n\n',
        b'data: {"choices": ' + b"[" * 100_000 + b"\n\n",
    ],
)
def test_after_a_bad_event_nothing_more_is_sent_and_all_before_it_is(bad: bytes) -> None:
    encoded, encoder = encode(plain_trace(), chunk({"content": "It"}) + bad + chunk({"content": " never"}))
    assert isinstance(encoder.broken, BrokenAnswer)
    assert b'"It"' in encoded
    assert b"never" not in encoded


@pytest.mark.parametrize("ends", [[], [0], [0, 0], [1, 7]])
def test_a_stream_in_which_a_choice_has_no_end_is_a_broken_answer(ends: list[int]) -> None:
    raw = b"".join(chunk({"content": "It"}, index=index) for index in (0, 1))
    raw += b"".join(chunk({}, "stop", index=index) for index in ends) + LAST + DONE_EVENT
    _, encoder = encode(plain_trace(), raw, choices=2)
    with pytest.raises(BrokenAnswer, match="before the answer's end"):
        encoder.check_end()


def test_usage_beside_the_end_of_a_choice_is_counted() -> None:
    trace = plain_trace()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    encode(trace, b"data: " + json.dumps({"choices": [choice], "usage": usage}).encode() + b"\n\n" + DONE_EVENT)
    assert trace.usage == TokenUsage(3, 2, 5)


def test_a_stream_in_which_each_choice_has_its_end_is_whole() -> None:
    _, encoder = encode(plain_trace(), chunk({}, "stop", index=1) + chunk({"content": "It"}, "length"), choices=2)
    encoder.check_end()


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ": "), (",", ":")])
def test_events_with_spaces_in_them_close_their_choice(separators: tuple[str, str]) -> None:
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "t"}
    raw = [
        json.dumps({**body, "choices": [choice]}, separators=separators).encode()
        for choice in (
            {"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None},
            {"index": 0, "delta": {"content": "!"}, "logprobs": None, "finish_reason": "stop"},
        )
    ]
    trace = plain_trace()
    trace.target = Target("t.style.abc", release="support@1", fingerprint="rel_1")
    encoded = ChunkEncoder(trace, choices=1, include_usage=False).encode(raw)
    first, last = [json.loads(event.removeprefix("data: ")) for event in encoded.decode().strip().split("\n\n")]
    assert first["choices"][0]["delta"]["content"] == "Hi"
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["braid"]["release"] == "support@1"
