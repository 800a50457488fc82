"""Training rows as they go to the trainer: what serving would send, on the owner's own lines."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prompts
from gateway.fine_tuning.rows import RowShares, RowsUnusable, render_rows

USER = {"role": "user", "content": "How long is the warranty?"}
REPLY = {"role": "assistant", "content": "Ahoy! 31 months [1]."}
WARRANTY = {"title": "Warranty", "text": "The kettle's warranty is 31 months."}
REFUNDS = {"title": "Refunds", "text": "Refunds are paid within 14 days."}


def row(*messages: dict[str, Any], passages: list[dict[str, str]] | None = None) -> bytes:
    content: dict[str, Any] = {"messages": list(messages)}
    if passages is not None:
        content["braid"] = {"passages": passages}
    return json.dumps(content).encode() + b"\n"


def render_file(data: bytes, source: str | None = None) -> list[list[dict[str, Any]]]:
    return [json.loads(line)["messages"] for line in render_rows(data, source).content.splitlines() if line]


def test_without_prompt_and_passages_rows_stay_as_they_are() -> None:
    messages = [{"role": "system", "content": "Be brief."}, USER, {**REPLY, "weight": 0}, USER, REPLY]
    assert render_file(row(*messages)) == [messages]


def test_a_developers_text_is_the_system_text_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "How long"}, {"type": "text", "text": "is the warranty?"}]
    (messages,) = render_file(
        row({"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}, REPLY)
    )
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert messages[1] == {"role": "user", "content": "How long\nis the warranty?"}


def test_passages_are_shown_as_serving_shows_them() -> None:
    data = row({"role": "system", "content": "Be brief."}, USER, REPLY, passages=[WARRANTY, REFUNDS])
    template = prompts.compile("You are the kettle desk.")
    evidence = [prompts.NumberedPassage(1, **WARRANTY), prompts.NumberedPassage(2, **REFUNDS)]
    served = prompts.draft(template, question=USER["content"], instructions="Be brief.", passages=evidence)
    expected = served.fit([1] * len(served.segments), 100).messages
    (messages,) = render_file(data, "You are the kettle desk.")
    assert messages == [*expected, REPLY]


def test_the_builtin_prompt_is_taken_where_there_are_passages() -> None:
    (messages,) = render_file(row(USER, REPLY, passages=[WARRANTY]))
    assert messages[0]["role"] == "system"
    assert "[1] Warranty: The kettle's warranty is 31 months." in messages[1]["content"]


def test_a_row_that_says_nothing_of_passages_is_not_one_whose_search_found_nothing() -> None:
    data = row(USER, REPLY, passages=[WARRANTY]) + row(USER, REPLY, passages=[]) + row(USER, REPLY)
    grounded, empty, bare = render_file(data)
    assert "No passage was found" not in grounded[1]["content"]
    assert "No passage was found" in empty[1]["content"]
    assert bare[1]["content"] == USER["content"]
    assert render_rows(data, None).shares == RowShares(grounded=1, empty=1, ungrounded=1)
    (alone,) = render_file(row(USER, REPLY), "You are the kettle desk.")
    assert alone[1]["content"] == USER["content"]
    (nothing,) = render_file(row(USER, REPLY, passages=[]))
    assert "No passage was found" in nothing[1]["content"]


def test_rows_that_a_model_wrote_are_counted_and_rendered_as_all_others_are() -> None:
    own = row(USER, REPLY, passages=[WARRANTY]) + row(USER, REPLY)
    written = own.replace(b'{"passages"', b'{"written_by": "base", "passages"')
    assert written != own
    file = render_rows(written, None)
    assert file.shares == RowShares(grounded=1, ungrounded=1, written_rows=1)
    assert (file.count, file.content) == (2, render_rows(own, None).content)


NEXT = {"role": "user", "content": "And refunds?"}


def test_with_passages_only_the_reply_that_has_its_evidence_is_learnt() -> None:
    data = row(USER, REPLY, NEXT, REPLY, passages=[REFUNDS])
    (messages,) = render_file(data)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert messages[1] == USER
    assert messages[2] == {**REPLY, "weight": 0}
    assert "Refunds are paid" in messages[3]["content"]
    assert messages[4] == REPLY
    assert render_rows(data, None).shares.context_replies == 1


def test_a_row_with_passages_whose_last_reply_has_no_weight_is_refused() -> None:
    with pytest.raises(RowsUnusable) as refused:
        render_rows(row(USER, REPLY, NEXT, {**REPLY, "weight": 0}, passages=[REFUNDS]), None)
    assert "last question" in refused.value.problems[0].message


WORDED = "{% block question %}{{ question }} Answer in verse.{% endblock %}"


@pytest.mark.parametrize(
    ("messages", "source", "learnt"),
    [
        ([USER, REPLY, NEXT, REPLY], "You are the kettle desk.", 2),
        ([USER, REPLY, NEXT, REPLY], WORDED, 1),
        ([USER, REPLY, {"role": "system", "content": "Be brief."}, NEXT, REPLY], "You are the kettle desk.", 1),
        ([{"role": "system", "content": "Be brief."}, USER, REPLY, NEXT, REPLY], "You are the kettle desk.", 2),
        ([REPLY, USER, REPLY], "You are the kettle desk.", 1),
        ([{"role": "system", "content": "Greet."}, REPLY, USER, REPLY], None, 2),
    ],
)
def test_an_earlier_reply_is_learnt_behind_the_prompt_that_was_served_for_it(
    messages: list[dict[str, Any]], source: str | None, learnt: int
) -> None:
    (trained,) = render_file(row(*messages), source)
    assert sum(message["role"] == "assistant" and message.get("weight") != 0 for message in trained) == learnt


TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["One.", "Two?", "Three [1]"])),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(TURNS, st.sampled_from([None, [], [WARRANTY]]), st.sampled_from(["You are the kettle desk.", WORDED]))
def test_what_is_learnt_is_learnt_behind_what_serving_would_send(
    turns: list[tuple[str, str]], passages: list[dict[str, str]] | None, source: str
) -> None:
    messages: list[dict[str, Any]] = [*({"role": role, "content": content} for role, content in turns), USER, REPLY]
    (trained,) = render_file(row(*messages, passages=passages), source)
    evidence = None if passages is None else [prompts.NumberedPassage(n, **one) for n, one in enumerate(passages, 1)]
    template = prompts.compile(source)
    for index, message in enumerate(trained):
        if message["role"] != "assistant" or message.get("weight") == 0:
            continue
        # The request for this reply: the owner's messages up to it, found by counting the turns that aren't system.
        others = [place for place, one in enumerate(messages) if one["role"] != "system"]
        before = [prompts.Message(**one) for one in messages[: others[index - 1]]]
        conversation = prompts.split(before)
        draft = prompts.draft(
            template,
            question=conversation.question,
            instructions=conversation.instructions,
            history=conversation.history,
            passages=evidence,
            after=conversation.after,
        )
        served = draft.fit([0] * len(draft.segments), 0).messages
        assert served == [{k: v for k, v in one.items() if k != "weight"} for one in trained[:index]]


def test_control_tokens_in_rows_with_a_prompt_are_broken() -> None:
    data = row({"role": "user", "content": "Hi<|im_end|>"}, REPLY, passages=[{"title": "", "text": "a<|im_start|>b"}])
    assert b"<|im_" not in render_rows(data, None).content


def test_rows_keep_their_lines() -> None:
    data = b"\n" + row(USER, REPLY) + b"\n \n" + row(USER, REPLY)
    file = render_rows(data, None)
    assert file.count == 2
    assert [bool(line) for line in file.content.splitlines()] == [False, True, False, False, True]


def test_every_bad_row_is_named_by_its_line() -> None:
    data = row(USER, REPLY) + b"{\n" + row(REPLY) + b"\n" + row(USER)
    with pytest.raises(RowsUnusable) as refused:
        render_rows(data, "You are the kettle desk.")
    assert refused.value.rows == 4
    assert [problem.row for problem in refused.value.problems] == [2, 3, 5]


def test_a_template_that_needs_variables_cannot_render_rows() -> None:
    with pytest.raises(RowsUnusable, match="1 of 1") as refused:
        render_rows(row(USER, REPLY), "You work for {{ company }}.")
    assert "company" in refused.value.problems[0].message


@pytest.mark.parametrize("source", [None, "You are the kettle desk."])
def test_rows_are_rendered_one_by_one(source: str | None) -> None:
    line = row(USER, {**REPLY, "content": "It is in the shed. " * 40})
    tracemalloc.start()
    try:
        file = render_rows(b"\n".join([line] * 3000), source)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.count == 3000
    assert most < 2.6 * len(file.content)  # the file, what is made of it, and a row
