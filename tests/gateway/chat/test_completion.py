"""A whole answer is what the same answer streamed adds up to, whatever it has beside text and however it is cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.answering.compose import ComposedPrompt
from gateway.answering.engine_answer import TokenUsage, decode_answer
from gateway.answering.question import Message, Question
from gateway.answering.ranking import RankedPassage
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.answering.trace import AnswerTrace
from gateway.chat.completion import encode_completion
from gateway.chat.stream import DONE_EVENT
from prompts import Rendering
from tests.fakes.passages import make_passage
from tests.gateway.chat.test_stream import LAST, USAGE, chunk, events

Turn = dict[str, list[Any]]
WORDS = st.sampled_from(
    ["It is ", "31 months", " [1]", " [2].", " [9]", "[", "1]", "![", "](https://e.x/q)", " https://e.x/s ", "`", "\n"]
)
PIECES = st.lists(WORDS, max_size=6)
TURNS = st.fixed_dictionaries(
    {
        "reasoning": PIECES,
        "content": PIECES,
        "refusal": st.lists(st.just("I can't."), max_size=2),
        "tool_calls": st.lists(st.lists(st.sampled_from(['{"a"', ": 1}", "[1]"]), max_size=3), max_size=2),
    }
)


def make_trace(*, searched: bool) -> AnswerTrace:
    question = Question("chatcmpl-1", "support", [Message("user", "How long?")], {})
    trace = AnswerTrace("kestrel", question, created=7, target=Target("base", release="support@1", fingerprint="rel_1"))
    if searched:
        one, two = (make_passage("vs", number, f"Fact {number}.") for number in (1, 2))
        hits = (RankedPassage(one, (make_passage("vs", 3, "fact 1."),)), RankedPassage(two))
        trace.evidence = Evidence("found", (one, two), {"vs": 4}, hits=hits)
        trace.prompt = ComposedPrompt(b"", Rendering([], [1, 2], [], 0, {}))
    trace.usage = TokenUsage(5, 2, 7)
    return trace


def deltas_of(turn: Turn) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [
        {name: piece} for name in ("reasoning", "content", "refusal") for piece in turn[name]
    ]
    for index, pieces in enumerate(turn["tool_calls"]):
        function = {"name": f"find{index}", "arguments": ""}
        deltas.append(
            {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}
        )
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return deltas


def message_of(turn: Turn) -> dict[str, Any]:
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": f"find{index}", "arguments": "".join(pieces)}}
        for index, pieces in enumerate(turn["tool_calls"])
    ]
    texts = {name: "".join(turn[name]) or None for name in ("reasoning", "content", "refusal")}
    return {**texts, "tool_calls": calls or None}


def add_up(streamed: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The choices of a stream's events, as a client adds them up."""
    choices: list[dict[str, Any]] = [
        {"content": "", "reasoning": "", "refusal": "", "tool_calls": {}, "annotations": []} for _ in range(count)
    ]
    for choice in itertools.chain.from_iterable(event["choices"] for event in streamed):
        whole, delta = choices[choice["index"]], choice["delta"]
        assert "finish_reason" not in whole, "nothing of a choice comes behind its end"
        for name in ("content", "reasoning", "refusal"):
            whole[name] += delta.get(name) or ""
        for call in delta.get("tool_calls") or ():
            known = whole["tool_calls"].setdefault(call["index"], {"id": call.get("id"), "arguments": ""})
            known["arguments"] += call["function"].get("arguments") or ""
        whole["annotations"] += delta.get("annotations") or []
        if choice["finish_reason"]:
            whole["finish_reason"] = choice["finish_reason"]
    return choices


@settings(max_examples=120, deadline=None)
@given(st.lists(TURNS, min_size=1, max_size=2), st.sampled_from(["stop", "length", "tool_calls"]), st.booleans())
def test_a_stream_adds_up_to_the_whole_answer(turns: list[Turn], finish: str, searched: bool) -> None:
    rounds = itertools.zip_longest(*map(deltas_of, turns))
    raw = b"".join(
        chunk(delta, index=index) for deltas in rounds for index, delta in enumerate(deltas) if delta is not None
    )
    raw += b"".join(chunk({"content": ""}, finish, index) for index in range(len(turns))) + LAST + DONE_EVENT
    streamed = events(make_trace(searched=searched), raw, choices=len(turns), include_usage=True)
    body = {
        "choices": [
            {"index": at, "message": message_of(turn), "finish_reason": finish} for at, turn in enumerate(turns)
        ]
    }
    whole = json.loads(encode_completion(make_trace(searched=searched), decode_answer(json.dumps(body).encode())))
    assert len(whole["choices"]) == len(turns)
    for one, choice in zip(add_up(streamed, len(turns)), whole["choices"], strict=True):
        message = choice["message"]
        assert one["content"] == (message["content"] or "")
        assert one["reasoning"] == message.get("reasoning", "")
        assert one["refusal"] == (message["refusal"] or "")
        assert [(call["id"], call["arguments"]) for call in one["tool_calls"].values()] == [
            (call["id"], call["function"]["arguments"]) for call in message.get("tool_calls", [])
        ]
        assert one["annotations"] == message["annotations"]
        assert one["finish_reason"] == choice["finish_reason"] == finish
    assert [event["braid"] for event in streamed if "braid" in event] == [whole["braid"]]
    assert streamed[-1]["usage"] == whole["usage"] == USAGE


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([[], [""], ["{}"], ['{"a"', ": 1}"]]), min_size=1, max_size=3),
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.booleans(),
)
@example([[]], "tool_calls", False)
def test_the_arguments_of_a_whole_call_are_json_also_where_the_engine_leaves_them_out(
    calls: list[list[str]], finish: str, searched: bool
) -> None:
    turn: Any = {"reasoning": [], "content": [], "refusal": [], "tool_calls": calls}
    raw = b"".join(map(chunk, deltas_of(turn))) + chunk({}, finish) + LAST + DONE_EVENT
    (streamed,) = add_up(events(make_trace(searched=searched), raw), 1)
    body = {"choices": [{"message": message_of(turn), "finish_reason": finish}]}
    whole = json.loads(encode_completion(make_trace(searched=searched), decode_answer(json.dumps(body).encode())))
    arguments = [call["function"]["arguments"] for call in whole["choices"][0]["message"]["tool_calls"]]
    assert [call["arguments"] for call in streamed["tool_calls"].values()] == arguments
    cut = finish in ("length", "content_filter")
    for text, pieces in zip(arguments[:-1] if cut else arguments, calls, strict=not cut):
        assert json.loads(text) == json.loads("".join(pieces) or "{}")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_have_no_addresses_that_the_prompt_had_not_and_no_marks_of_their_own(name: str) -> None:
    pieces = [{name: "See [1] at https"}, {name: "://e.x/q and http"}, {"content": "31 [1]."}, {"content": " Yes."}]
    trace = make_trace(searched=True)
    streamed = events(trace, b"".join(map(chunk, pieces)) + chunk({}, "stop") + DONE_EVENT)
    deltas = [choice["delta"] for event in streamed for choice in event["choices"]]
    assert "".join(delta.get(name) or "" for delta in deltas) == "See [1] at (link removed) and http"
    assert "".join(delta.get("content") or "" for delta in deltas) == "31 [1]. Yes."
    assert (trace.removed_links, trace.cited) == (1, {1})
    assert streamed[-1]["braid"]["removed_links"] == 1
    # What was withheld of a thought comes with the answer's first word.
    first = next(number for number, delta in enumerate(deltas) if delta.get("content"))
    assert not any(delta.get(name) for delta in deltas[first + 1 :])


def test_marks_in_thoughts_stay_where_nothing_was_found_and_those_of_the_answer_go() -> None:
    trace = make_trace(searched=False)
    trace.evidence = Evidence("nothing_found")
    streamed = events(trace, chunk({"reasoning": "Is [1] it?"}) + chunk({"content": "No [1]."}, "stop") + DONE_EVENT)
    deltas = [choice["delta"] for event in streamed for choice in event["choices"]]
    assert deltas[0]["reasoning"] == "Is [1] it?"
    assert "".join(delta.get("content") or "" for delta in deltas) == "No."


def test_log_probabilities_of_a_piece_that_is_withheld_are_sent_at_once() -> None:
    token = {"token": "[", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    body = json.loads(chunk({"content": "["})[6:])
    body["choices"][0]["logprobs"] = {"content": [token]}
    raw = b"data: " + json.dumps(body).encode() + b"\n\n" + chunk({"content": "1]"}, "stop") + DONE_EVENT
    first, last = events(make_trace(searched=True), raw)
    assert first["choices"][0]["delta"]["content"] == ""
    assert first["choices"][0]["logprobs"]["content"] == [token]
    assert last["choices"][0]["delta"]["content"] == "[1]"


def test_a_mark_cites_its_passage_and_each_document_that_says_the_same() -> None:
    body = b'{"choices": [{"message": {"content": "31 [1], or 42 [2]."}, "finish_reason": "stop"}]}'
    whole = json.loads(encode_completion(make_trace(searched=True), decode_answer(body)))
    annotations = [one["url_citation"] for one in whole["choices"][0]["message"]["annotations"]]
    url = "/api/answers/chatcmpl-1/citations"
    assert [one["url"] for one in annotations] == [f"{url}/1", f"{url}/1?document_id=doc_3", f"{url}/2"]
    assert [(one["start_index"], one["end_index"]) for one in annotations] == [(3, 6), (3, 6), (14, 17)]
    assert [source["url"] for source in whole["braid"]["citations"]] == [one["url"] for one in annotations]


def test_an_engine_s_gaps_are_filled_as_openai_has_them() -> None:
    trace = make_trace(searched=False)
    trace.target = Target("base")
    body = b'{"choices": [{"logprobs": {"content": []}, "finish_reason": "stop"}]}'
    whole = json.loads(encode_completion(trace, decode_answer(body)))
    (choice,) = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    assert (choice["finish_reason"], choice["logprobs"]) == ("stop", {"content": [], "refusal": None})
    assert "braid" not in whole, "neither a release nor a search was in play"
    assert whole["system_fingerprint"] is None
