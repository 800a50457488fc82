import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.chat.citations import MarkFilter
from gateway.chat.relay import BrokenStream, Relay
from tests import fakes
from tests.contract.openai.strict import find_problems

CONSTANT = {"id": "chatcmpl-1", "created": 7, "model": "support", "system_fingerprint": "rel_1"}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "t.style.abc", "choices": [choice]}
    return b"data: " + json.dumps({**body, **more}, separators=(",", ":")).encode() + b"\n\n"


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
LAST = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"t","choices":[],"usage":%s}\n\n' % (
    json.dumps(USAGE, separators=(",", ":")).encode()
)
DONE = b"data: [DONE]\n\n"
STREAM = (
    chunk({"role": "assistant", "content": ""})
    + chunk({"content": "It costs "})
    + chunk({"content": "€89 ["})
    + chunk({"content": "1"})
    + chunk({"content": "] or [5]"})
    + chunk({"content": "."}, "stop", system_fingerprint="vllm-0.32", stop_reason=None)
    + LAST
    + DONE
)


def plain(**options: Any) -> Relay:
    made: dict[str, Any] = {"choices": 1, "include_usage": False, "marks": None, "closing": lambda _marks: ([], None)}
    return Relay(CONSTANT, **{**made, **options})


def cited(closing: Callable[..., Any], **options: Any) -> Relay:
    return plain(marks=lambda: MarkFilter(frozenset({1, 2, 3})), closing=closing, **options)


async def feed(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def collect(relay: Relay, pieces: list[bytes]) -> list[dict[str, Any]]:
    raw = b"".join([part async for part in relay.events(feed(pieces))])
    events = raw.decode().strip().split("\n\n")
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def test_names_of_the_engine_never_show() -> None:
    events = await collect(plain(), [STREAM])
    assert all({key: event[key] for key in CONSTANT} == CONSTANT for event in events)
    assert "vllm" not in json.dumps(events)
    assert text_of(events) == "It costs €89 [1] or [5]."


@pytest.mark.parametrize("name", ["stream", "stream_usage", "stream_n_logprobs", "stream_stop", "stream_tool"])
async def test_a_real_engines_events_keep_openais_members_only(name: str) -> None:
    captured = json.loads((Path(fakes.__file__).parent / "captured" / f"{name}.json").read_text())["body"]
    relay = plain(choices=2 if "_n_" in name else 1, include_usage=True)
    for event in await collect(relay, [captured.encode()]):
        assert find_problems(ChatCompletionChunk, event) == []


async def test_usage_is_kept_and_only_sent_when_asked_for() -> None:
    silent, asked = plain(), plain(include_usage=True)
    assert all("usage" not in event for event in await collect(silent, [STREAM]))
    events = await collect(asked, [STREAM])
    assert events[-1]["usage"] == silent.usage == USAGE
    assert events[-1]["choices"] == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
async def test_any_split_of_the_bytes_gives_the_same_answer(size: int, newline: bytes) -> None:
    raw = STREAM.replace(b"\n", newline)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    for make in (plain, lambda: cited(lambda marks: ([], None))):
        assert text_of(await collect(make(), pieces)) == text_of(await collect(make(), [STREAM]))


async def test_marks_are_checked_and_said_with_the_event_that_ends_the_choice() -> None:
    def closing(marks: MarkFilter) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return [{"number": c.number, "at": [c.start, c.end]} for c in marks.citations], {"release": "support@1"}

    events = await collect(cited(closing, include_usage=True), [STREAM])
    assert text_of(events) == "It costs €89 [1] or ."
    last = events[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["delta"]["annotations"] == [{"number": 1, "at": [13, 16]}]
    assert last["braid"] == {"release": "support@1"}
    assert [event for event in events if "braid" in event] == [last]


async def test_with_several_choices_the_object_braid_comes_once_at_the_end() -> None:
    stream = (
        chunk({"content": "one [1]"}, index=0)
        + chunk({"content": "two [2]"}, index=1)
        + chunk({"content": ""}, "stop", index=1)
        + chunk({"content": ""}, "length", index=0)
        + DONE
    )
    relay = cited(lambda marks: ([{"n": c.number} for c in marks.citations], {"x": 1}), choices=2)
    events = await collect(relay, [stream])
    finals = [event for event in events if event["choices"][0]["finish_reason"]]
    assert [final["choices"][0]["delta"]["annotations"] for final in finals] == [[{"n": 2}], [{"n": 1}]]
    assert ["braid" in event for event in finals] == [False, True]


@pytest.mark.parametrize(
    "broken",
    [
        chunk({"content": "It"}),
        chunk({"content": "It"}) + b'data: {"choices":[{"index":0,"del\n\n' + DONE,
        chunk({"content": "It"}) + b'data: {"error":{"message":"boom","code":500}}\n\n' + DONE,
        b"data: not json\n\n" + DONE,
        b'data: {"choices": [{"finish_reason":"\xff"}]}\n\n' + DONE,
        b'data: {"choices": ' + b"[" * 100_000 + b"\n\n" + DONE,
        b"",
    ],
)
async def test_a_broken_stream_never_ends_as_if_it_were_whole(broken: bytes) -> None:
    relay = plain()
    out: list[bytes] = []

    async def drain() -> None:
        async for part in relay.events(feed([broken])):
            out.append(part)

    with pytest.raises(BrokenStream):
        await drain()
    assert b"[DONE]" not in b"".join(out)


async def test_an_endless_event_is_cut_off() -> None:
    with pytest.raises(BrokenStream):
        async for _ in plain().events(feed([b"data: " + b"x" * 1_000_000] * 20)):
            pass


async def test_comments_are_not_passed_on() -> None:
    events = await collect(plain(), [b": keepalive\n\n" + STREAM])
    assert text_of(events) == "It costs €89 [1] or [5]."
