from typing import Any

import msgspec
import pytest

import prompts
from gateway.answering.compose import ComposedPrompt
from gateway.answering.engine_answer import PromptTokensDetails, TokenUsage
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.answering.trace import AnswerTrace
from gateway.assistants.release import RetrievalSpec
from gateway.openai_format.braid_object import make_braid_answer
from prompts import Rendering, Segment
from tests.fakes.passages import make_passage

SEGMENTS = (Segment("system", "You answer."), Segment("question", "How long?"))


def grounded_trace(*, structured: bool = False, dropped: bool = False) -> AnswerTrace:
    """An answer with three passages, of which the first two are in the prompt."""
    question = Question("answer-1", "support", [Message("user", "How long?")], {}, structured=structured)
    trace = AnswerTrace("kestrel", question, created=7, started_at=100.0, target=Target("base", release="support@1"))
    trace.evidence = Evidence("found", tuple(make_passage("vs_1", n, f"Fact {n}.") for n in (1, 2, 3)), {"vs_1": 4})
    parts = {"system": 2, "instructions": 0, "turn": 0, "passage": 6, "question": 3}
    rendering = Rendering([], [1, 2], [3] if dropped else [], 1 if dropped else 0, parts)  # type: ignore[arg-type]
    trace.prompt = ComposedPrompt(b"{}", rendering, SEGMENTS)
    return trace


def test_times_are_milliseconds_since_the_start() -> None:
    trace = grounded_trace()
    trace.retrieved_at, trace.composed_at, trace.first_byte_at = 100.25, 100.5, 101.0
    timings = trace.record("completed", 102.0).timings
    assert (timings.retrieved, timings.composed, timings.first_byte, timings.total) == (250.0, 500.0, 1000.0, 2000.0)


def test_steps_that_were_not_reached_have_the_time_of_the_end() -> None:
    timings = grounded_trace().record("abandoned", 100.75).timings
    assert (timings.retrieved, timings.composed, timings.first_byte, timings.total) == (None, 750.0, 750.0, 750.0)


def test_marking_a_step_notes_the_present() -> None:
    trace = AnswerTrace("kestrel", Question("answer-1", "base", [], {}))
    trace.mark_retrieved()
    trace.mark_composed()
    trace.mark_first_byte()
    assert trace.retrieved_at is not None
    assert trace.composed_at is not None
    assert trace.first_byte_at is not None
    assert trace.started_at <= trace.retrieved_at <= trace.composed_at <= trace.first_byte_at


def test_the_record_has_the_passages_of_the_prompt_and_which_are_cited() -> None:
    trace = grounded_trace()
    trace.cite([2])
    record = trace.record("completed", 101.0)
    assert [(p.number, p.cited, p.index_epoch) for p in record.passages] == [(1, False, 4), (2, True, 4)]
    assert (record.id, record.release, record.index_epochs) == ("answer-1", "support@1", {"vs_1": 4})


def test_only_passages_of_the_prompt_can_be_cited() -> None:
    text = grounded_trace().make_answer_text()
    assert text is not None
    assert text.feed("One [1], two [2], three [3].") + text.finish() == "One [1], two [2], three [3]."
    assert [citation.number for citation in text.citations] == [1, 2]


def test_links_are_checked_wherever_documents_were_searched_but_in_json() -> None:
    trace = grounded_trace()
    assert trace.checks_links
    assert trace.make_thought_text() is not None
    question = Question("answer-1", "support", [], {}, structured=True, is_json=True)
    assert not AnswerTrace("kestrel", question, evidence=trace.evidence).checks_links
    assert grounded_trace(structured=True).checks_links, "an answer beside tools is text"
    assert not AnswerTrace("kestrel", Question("answer-1", "base", [], {})).checks_links
    free = RetrievalSpec(("vs_1",), links="any")
    trace.target = Target("base", release="support@1", retrieval=free)
    assert not trace.checks_links


def test_where_no_marks_could_be_asked_for_all_passages_of_the_prompt_are_cited() -> None:
    trace = grounded_trace(structured=True)
    assert not trace.citable
    trace.cite([])
    assert trace.cited == {1, 2}


def test_parts_are_counted_after_the_answer_unless_something_was_dropped() -> None:
    later, now = grounded_trace(), grounded_trace(dropped=True)
    assert later.record("completed", 101.0).prompt_tokens is None
    assert later.list_uncounted_segments() == SEGMENTS
    record = now.record("completed", 101.0)
    assert record.prompt_tokens == {"system": 2, "instructions": 0, "turn": 0, "passage": 6, "question": 3}
    assert (record.dropped_passages, record.dropped_turns) == ([3], 1)
    assert now.list_uncounted_segments() == ()


def test_usage_is_the_engines_or_else_is_counted_from_what_came() -> None:
    trace = grounded_trace()
    trace.replica = "engine 1"
    assert trace.record("abandoned", 101.0).usage is None
    trace.note_events([b"{}"] * 12)
    uncounted = trace.find_uncounted_answer()
    assert uncounted is not None
    assert (len(uncounted.events), uncounted.total_events, uncounted.body) == (12, 12, trace.prompt.body)
    trace.usage = TokenUsage(5, 2, 7, PromptTokensDetails(3))
    assert trace.find_uncounted_answer() is None
    assert trace.record("completed", 101.0).usage == {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def test_of_a_very_long_answer_the_first_events_are_kept() -> None:
    trace = grounded_trace()
    trace.replica = "engine 1"
    for _ in range(30):
        trace.note_events([b"{}"] * 1_000)
    uncounted = trace.find_uncounted_answer()
    assert uncounted is not None
    assert (len(uncounted.events), uncounted.total_events) == (5_000, 30_000)


def test_an_answer_without_documents_has_an_empty_record() -> None:
    record = AnswerTrace("kestrel", Question("answer-1", "base", [], {})).record("completed", 1e9)
    assert (record.passages, record.index_epochs, record.retrieval, record.release) == ([], {}, "off", None)
    assert msgspec.json.decode(msgspec.json.encode(record))["model"] == "base"


def direct_trace(*messages: Message, prompt: bool = False, knows_marks: bool = True) -> AnswerTrace:
    """An answer by an adapter, without any search."""
    trace = AnswerTrace("kestrel", Question("answer-1", "ft:a", messages, {}))
    template = prompts.compile(prompts.DEFAULT) if prompt else None
    trace.target = Target("a", "a", prompt=template, knows_marks=knows_marks)
    return trace


def test_an_adapter_may_write_marks_that_it_learnt_where_nothing_was_searched() -> None:
    question = Message("user", "How long, in list[1] of [it](here)?")
    assert direct_trace(question).citable
    assert direct_trace(question, prompt=True, knows_marks=False).citable
    assert not direct_trace(question, knows_marks=False).citable


@pytest.mark.parametrize(
    "text", ["[1] The guide.", "Says so [12].", "Cite as [n].", "Use [number], please", "保修期[1]", "x[0] and ([2])"]
)
@pytest.mark.parametrize("role", ["system", "developer", "user", "tool"])
@pytest.mark.parametrize("status", ["off", "skipped", "nothing_found", "unavailable"])
def test_marks_are_the_client_s_where_its_own_messages_show_some(role: prompts.Role, text: str, status: Any) -> None:
    question = Message("user", "How long?")
    for message, citable in ((Message(role, text), False), (Message("assistant", text), True)):
        trace = direct_trace(message, question)
        trace.evidence = Evidence(status)
        assert trace.citable == citable


def test_with_passages_in_the_prompt_marks_are_theirs_whatever_the_client_shows() -> None:
    trace = grounded_trace()
    trace.question = msgspec.structs.replace(trace.question, messages=[Message("user", "[1] or [2]?")])
    assert trace.citable


def test_the_page_of_a_passage_is_kept() -> None:
    trace = grounded_trace()
    first, *others = trace.evidence.passages
    pages = (msgspec.structs.replace(first, page=7), *others)
    trace.evidence = Evidence("found", pages, trace.evidence.index_epochs)
    trace.cite([1, 2])
    assert [passage.page for passage in trace.list_passages()] == [7, 0]
    braid = make_braid_answer(trace)
    assert braid is not None
    assert [source.page for source in braid.citations] == [7, None]
