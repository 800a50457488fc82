"""The named events of a response, for whatever an engine streams: they end as the whole answer would have been."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.answering.compose import ComposedPrompt
from gateway.answering.engine_answer import BrokenAnswer, TokenUsage, decode_answer
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.answering.trace import AnswerTrace
from gateway.assistants.release import RetrievalSpec
from gateway.responses.callables import Callables
from gateway.responses.output import ResponseBuilder
from gateway.responses.request import ResponseCreate
from gateway.responses.schemas import Response
from gateway.responses.stream import ResponseEvents
from prompts import Rendering
from tests.fakes.passages import make_passage

Delta = dict[str, Any]
Make = Callable[[], ResponseBuilder]
DIFFERING = frozenset({"id", "item_id", "created_at", "completed_at"})
WORDS = st.sampled_from(
    ["It is ", "31 months", " [1]", " [2].", " [9]", "[", "1]", "![", "](https://e.x/q)", " https://e.x/s ", "`", "\n"]
)
PIECES = st.lists(WORDS, min_size=1, max_size=6)
CALLS = st.lists(st.lists(st.sampled_from(['{"a"', ": 1", "}", "[1]"]), max_size=4), max_size=3)


def make(*, searched: bool = False, named: bool = False) -> ResponseBuilder:
    """The builder of a response: with two passages in the prompt, of stores that a release has or the request names."""
    retrieval = RetrievalSpec(("vs",)) if named else None
    question = Question("resp_1", "support", [Message("user", "How long?")], {}, stream=True, retrieval=retrieval)
    trace = AnswerTrace("kestrel", question, created=7, target=Target("base", release="support@1", fingerprint="rel_1"))
    if searched:
        passages = tuple(make_passage("vs", number, f"Fact {number}.") for number in (1, 2))
        trace.evidence = Evidence("found", passages, {"vs": 4})
        trace.prompt = ComposedPrompt(b"", Rendering([], [1, 2], [], 0, {}))
    request = ResponseCreate("support", "How long?", include=["message.output_text.logprobs"])
    return ResponseBuilder(trace, request, Callables(search=retrieval))


def event_of(delta: Delta, finish: str | None = None, **more: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}).encode()


def stream(make: Make, deltas: Sequence[Delta], finish: str) -> list[dict[str, Any]]:
    events = ResponseEvents(make())
    raw = events.begin() + events.encode([event_of({"role": "assistant", "content": ""}), *map(event_of, deltas)])
    raw += events.encode([event_of({}, finish), b'{"choices": [], "usage": {"prompt_tokens": 5}}']) + events.finish()
    assert events.broken is None
    return read(raw)


def read(raw: bytes) -> list[dict[str, Any]]:
    sent = [event.partition("\n") for event in raw.decode().split("\n\n")[:-1]]
    events = [json.loads(data.removeprefix("data: ")) for _name, _newline, data in sent]
    assert [name for name, _newline, _data in sent] == [f"event: {event['type']}" for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def whole(make: Make, message: Delta, finish: str) -> Any:
    """The response of the same answer, had it come in one piece."""
    builder = make()
    builder.trace.usage = TokenUsage(5, 0, 0)
    answer = decode_answer(json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode())
    return plain(builder.build_whole(answer))


def plain(response: Response | Any) -> Any:
    """A response without what differs from one to the next."""
    value = msgspec.to_builtins(response)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if name not in DIFFERING}
    return [plain(item) for item in value] if isinstance(value, list) else value


def join_deltas(events: Sequence[Any], kind: str, index: int) -> str:
    """The deltas of one kind for one item, as a client adds them up."""
    return "".join(one["delta"] for one in events if one["type"] == kind and one["output_index"] == index)


def call_deltas(calls: Sequence[Sequence[str]]) -> list[Delta]:
    deltas: list[Delta] = []
    for index, pieces in enumerate(calls):
        function = {"name": f"find{index}", "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return deltas


def whole_calls(calls: Sequence[Sequence[str]]) -> list[Delta]:
    return [
        {"id": f"call_{index}", "function": {"name": f"find{index}", "arguments": "".join(pieces)}}
        for index, pieces in enumerate(calls)
    ]


@settings(max_examples=150, deadline=None)
@given(
    PIECES | st.just([]),
    st.sampled_from(["content", "refusal", "nothing"]),
    PIECES,
    CALLS,
    st.sampled_from(["stop", "length", "content_filter", "tool_calls"]),
    st.booleans(),
    st.booleans(),
)
def test_a_stream_in_any_pieces_ends_as_the_whole_answer(
    thought: list[str], kind: str, text: list[str], calls: list[list[str]], finish: str, searched: bool, named: bool
) -> None:
    def made() -> ResponseBuilder:
        return make(searched=searched, named=named)

    said = [] if kind == "nothing" else text
    deltas = [{"reasoning": piece} for piece in thought] + [{kind: piece} for piece in said] + call_deltas(calls)
    message: Delta = {"reasoning": "".join(thought), "tool_calls": whole_calls(calls)}
    if said:
        message[kind] = "".join(said)
    events = stream(made, deltas, finish)
    last = events[-1]["response"]
    assert plain(last) == whole(made, message, finish)
    assert events[-1]["type"] == f"response.{last['status']}"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == last["output"]
    for index, item in enumerate(last["output"]):
        parts = [part.get("text", part.get("refusal")) for part in item.get("content", ())]
        words = item["arguments"] if item["type"] == "function_call" else "".join(parts)
        kinds = {"reasoning": "reasoning_text", "function_call": "function_call_arguments"}
        named_by = kinds.get(item["type"]) or (item.get("content") or [{"type": "nothing"}])[0]["type"]
        assert join_deltas(events, f"response.{named_by}.delta", index) == words
        assert {event["item_id"] for event in events if event.get("output_index") == index and "item_id" in event} <= {
            item["id"]
        }


def kinds_of(events: Sequence[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_thoughts_are_an_item_of_their_own_before_the_message() -> None:
    events = stream(make, [{"reasoning": "Let me "}, {"reasoning": "see."}, {"content": "31 months."}], "stop")
    assert kinds_of(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    thought, message = events[-1]["response"]["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
    assert events[5]["text"] == "Let me see."
    assert message["content"][0]["text"] == events[10]["text"] == "31 months."


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = stream(make, [{"refusal": "I can't "}, {"refusal": "say."}], "stop")
    assert kinds_of(events)[2:-1] == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert events[6]["refusal"] == "I can't say."
    assert events[7]["part"] == {"type": "refusal", "refusal": "I can't say."}


def test_each_call_is_an_item_and_is_whole_when_it_is_done() -> None:
    events = stream(make, call_deltas([['{"a"', ": 1}"], []]), "tool_calls")
    assert kinds_of(events)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (events[6]["name"], events[6]["arguments"]) == ("find0", '{"a": 1}')
    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ['{"a": 1}', "{}"]
    assert [item["call_id"] for item in events[-1]["response"]["output"]] == ["call_0", "call_1"]
    assert events[2]["item"]["status"] == "in_progress"


def test_calls_whose_arguments_come_in_turns_are_an_item_each() -> None:
    one, two = call_deltas([['{"a"', ": 1}"], ['{"b"', ": 2}"]])[:3], call_deltas([[], ['{"b"', ": 2}"]])[1:]
    deltas = [delta for pair in zip(one, two, strict=True) for delta in pair]
    deltas.insert(3, {"content": "I look."})
    events = stream(make, deltas, "tool_calls")
    named = zip(kinds_of(events), events, strict=True)
    assert [(kind.removeprefix("function_call_"), event["output_index"]) for kind, event in [*named][2:-1]] == [
        ("output_item.added", 0),
        ("output_item.added", 1),
        ("arguments.delta", 0),
        ("output_item.added", 2),
        ("content_part.added", 2),
        ("output_text.delta", 2),
        ("arguments.delta", 1),
        ("arguments.delta", 0),
        ("arguments.delta", 1),
        ("arguments.done", 0),
        ("output_item.done", 0),
        ("arguments.done", 1),
        ("output_item.done", 1),
        ("output_text.done", 2),
        ("content_part.done", 2),
        ("output_item.done", 2),
    ]
    output = events[-1]["response"]["output"]
    assert [item["arguments"] for item in output[:2]] == ['{"a": 1}', '{"b": 2}']
    assert output[2]["content"][0]["text"] == "I look."
    for index in (0, 1):
        assert join_deltas(events, "response.function_call_arguments.delta", index) == output[index]["arguments"]


def test_an_item_begins_empty_whatever_its_first_piece_has() -> None:
    first = {"index": 0, "id": "call_0", "function": {"name": "find", "arguments": '{"a": 1}'}}
    events = stream(make, [{"tool_calls": [first]}], "tool_calls")
    added, delta = events[2], events[3]
    assert (added["item"]["arguments"], delta["delta"]) == ("", '{"a": 1}')
    assert events[-1]["response"]["output"][0]["arguments"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_only_the_item_that_was_cut_is_incomplete(finish: str, status: str, reason: Any) -> None:
    deltas = [{"reasoning": "Hm."}, {"content": "I look."}, *call_deltas([["{}"], ['{"a"']])]
    events = stream(make, deltas, finish)
    response = events[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == (status, reason)
    assert [item["status"] for item in response["output"]] == ["completed"] * 3 + [status]
    assert (response["completed_at"] is None) == (status == "incomplete")


@pytest.mark.parametrize(("order", "cut"), [((0, 1), [1]), ((0, 1, 0), [0, 1]), ((0, 1, 0, 2), [2]), ((1, 0), [1])])
def test_of_calls_that_come_in_turns_those_may_be_cut_that_were_written_to_last(
    order: tuple[int, ...], cut: list[int]
) -> None:
    deltas = [{"tool_calls": [{"index": n, "id": f"call_{n}", "function": {"arguments": "{"}}]} for n in order]
    items = stream(make, deltas, "length")[-1]["response"]["output"]
    assert [place for place, item in enumerate(items) if item["status"] == "incomplete"] == cut


def test_a_stream_without_its_end_is_a_broken_answer() -> None:
    events = ResponseEvents(make())
    events.begin()
    events.encode([event_of({"content": "It"})])
    with pytest.raises(BrokenAnswer, match="before the answer's end") as caught:
        events.finish()
    assert b'"It"' in events.fail(caught.value)


def test_an_answer_without_a_word_is_an_empty_message() -> None:
    events = stream(make, [{"reasoning": "Hm."}], "stop")
    thought, message = events[-1]["response"]["output"]
    assert (thought["type"], message["content"][0]["text"]) == ("reasoning", "")
    assert not [event for event in events if event["type"] == "response.output_text.delta"]


def test_a_search_comes_before_all_else_and_in_its_steps() -> None:
    events = stream(lambda: make(searched=True, named=True), [{"content": "31 [1]."}], "stop")
    assert kinds_of(events)[:8] == [
        "created",
        "in_progress",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
    ]
    assert [event["item"]["status"] for event in (events[2], events[6])] == ["in_progress", "completed"]
    assert [event["output_index"] for event in events[2:8]] == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("named", "kind"), [(True, "file_citation"), (False, "url_citation")])
def test_each_annotation_is_an_event_between_the_text_and_its_end(named: bool, kind: str) -> None:
    deltas = [{"content": "31 [1], "}, {"content": "or 42 [2]."}]
    events = stream(lambda: make(searched=True, named=named), deltas, "stop")
    added = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in added] == [0, 1]
    assert [event["annotation"]["type"] for event in added] == [kind, kind]
    part = events[-1]["response"]["output"][-1]["content"][0]
    assert part["annotations"] == [event["annotation"] for event in added]
    assert kinds_of(events)[-6:-3] == [
        "output_text.annotation.added",
        "output_text.annotation.added",
        "output_text.done",
    ]


def test_the_object_braid_and_the_usage_come_with_the_end() -> None:
    events = stream(lambda: make(searched=True), [{"content": "31 [1]."}], "stop")
    first, last = events[0]["response"], events[-1]["response"]
    assert "braid" not in first
    assert (first["usage"], first["status"], first["output"]) == (None, "in_progress", [])
    assert [source["number"] for source in last["braid"]["citations"]] == [1]
    assert last["usage"]["input_tokens"] == 5


def test_log_probabilities_come_with_their_piece_and_whole_at_the_end() -> None:
    events = ResponseEvents(make())
    one, two = {"token": "31", "logprob": -0.1}, {"token": " months", "logprob": -0.2}
    raw = events.begin() + events.encode(
        [
            event_of({"content": "31"}, logprobs={"content": [one]}),
            event_of({"content": " months"}, logprobs={"content": [two]}),
            event_of({"content": "."}),
            event_of({}, "stop"),
        ]
    )
    sent = read(raw + events.finish())
    deltas = [event["logprobs"] for event in sent if event["type"] == "response.output_text.delta"]
    assert deltas == [[one], [two], []]
    assert sent[-1]["response"]["output"][0]["content"][0]["logprobs"] == [one, two]


@pytest.mark.parametrize(
    ("deltas", "kind"),
    [
        ([{"reasoning": "Let me"}], "reasoning"),
        ([{"content": "31 [1"}], "message"),
        ([{"refusal": "I can't"}], "message"),
        (call_deltas([['{"a"']]), "function_call"),
    ],
)
def test_what_was_open_when_it_failed_is_incomplete(
    deltas: list[Delta], kind: Literal["reasoning", "message", "function_call"]
) -> None:
    events = ResponseEvents(make(searched=True))
    raw = events.begin() + events.encode([*map(event_of, deltas), b'{"error": {"message": "boom"}}', event_of({})])
    assert isinstance(events.broken, BrokenAnswer)
    sent = read(raw + events.fail(events.broken))
    response = sent[-1]["response"]
    assert (sent[-1]["type"], response["status"]) == ("response.failed", "failed")
    assert response["error"] == {"code": "server_error", "message": events.broken.message}
    (item,) = response["output"]
    assert (item["type"], item["status"]) == (kind, "incomplete")
    assert response["incomplete_details"] is None
    assert response["completed_at"] is None


def test_a_failure_before_the_first_word_has_no_items() -> None:
    events = ResponseEvents(make())
    events.begin()
    broken = BrokenAnswer("The model server went away. Try again.")
    (last,) = [json.loads(line[6:]) for line in events.fail(broken).decode().splitlines() if line.startswith("data: ")]
    assert (last["type"], last["response"]["output"]) == ("response.failed", [])


def test_a_trace_without_a_search_has_no_search_item() -> None:
    builder = make(named=True)
    builder.trace.evidence = NO_EVIDENCE
    assert builder.build_search() == []
    assert "file_search" not in ResponseEvents(builder).begin().decode()
