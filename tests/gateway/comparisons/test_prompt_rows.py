"""The prompts of a comparison, and the summary of votes, without a gateway."""

import json
from collections import Counter
from typing import Any

import pytest

from gateway.comparisons.prompt_rows import choose_rows, decode_prompts, encode_prompts, read_file_prompts, to_prompts
from gateway.comparisons.summary import summarise
from gateway.comparisons.tables import ComparisonRow
from gateway.errors import BadRequest

USER, REPLY = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}


def lines(*rows: Any) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_what_was_asked_in_rows_is_all_but_the_reply_at_their_end() -> None:
    more = [{"role": "system", "content": "Be kind."}, USER, REPLY, {"role": "user", "content": "And then?"}]
    rows = lines({"messages": [USER, REPLY]}, {"messages": [*more, REPLY]})
    assert read_file_prompts(rows, "rows.jsonl") == [[USER], more]


def test_rows_of_preferences_are_asked_too_and_those_that_teach_no_last_reply_are_not() -> None:
    preferred = {"input": {"messages": [USER]}, "preferred_output": [REPLY]}
    row = {**preferred, "non_preferred_output": [{"role": "assistant", "content": "No."}]}
    assert read_file_prompts(lines(row), "rows.jsonl") == [[USER]]
    unlearnt = {"messages": [USER, REPLY, USER, {**REPLY, "weight": 0}]}
    assert read_file_prompts(lines(unlearnt, {"messages": [USER, REPLY]}), "rows.jsonl") == [[USER]]


def test_a_file_of_something_else_is_refused_with_its_rows() -> None:
    with pytest.raises(BadRequest, match=r"x\.jsonl isn't a file of rows\. Row 2:") as refused:
        read_file_prompts(lines({"messages": [USER, REPLY]}, {"no": 1}), "x.jsonl")
    assert (refused.value.param, refused.value.code) == ("file_id", "invalid_rows")


@pytest.mark.parametrize(
    ("messages", "kept"),
    [
        ([USER], True),
        ([{"role": "developer", "content": "x"}, USER, REPLY, USER], True),
        ([USER, REPLY], False),
        ([], False),
        ([{"role": "tool", "content": "x"}, USER], False),
    ],
)
def test_of_a_runs_inputs_those_that_end_with_a_question_are_asked_anew(
    messages: list[dict[str, Any]], kept: bool
) -> None:
    assert to_prompts([[{**one, "name": "x"} for one in messages]]) == ([messages] if kept else [])


def test_prompts_are_asked_once_and_of_many_evenly_spaced_ones() -> None:
    prompts = [[{"role": "user", "content": str(n)}] for n in range(10)]
    assert choose_rows([*prompts, *prompts], 10) == prompts
    assert [prompt[0]["content"] for prompt in choose_rows(prompts, 4)] == ["0", "2", "5", "7"]
    assert decode_prompts(encode_prompts(prompts)) == prompts


def test_a_summary_counts_items_by_their_majority_and_votes_by_their_place() -> None:
    swapped = {"i0": False, "i1": True, "i2": False, "i3": False, "unvoted": True}
    votes = {
        "i0": Counter(a=2, b=1),  # a wins; two of three votes are for the left
        "i1": Counter(a=1),  # a stands right
        "i2": Counter(b=1, tie=3),  # b wins: ties decide nothing
        "i3": Counter(a=1, b=1),
    }
    summary = summarise(ComparisonRow(id="cmp_1", models=["x", "y"]), swapped, votes, 4)
    assert (summary.items, summary.voted, summary.votes, summary.voters) == (5, 4, 10, 4)
    assert (summary.wins_a, summary.wins_b, summary.ties) == (2, 1, 1)
    assert summary.win_rate is not None
    assert (summary.win_rate.n, round(summary.win_rate.value, 3)) == (3, 0.667)
    assert summary.score is not None
    assert (summary.score.n, round(summary.score.value, 4)) == (4, round((2 / 3 + 1 + 1.5 / 4 + 0.5) / 4, 4))
    assert summary.left_share is not None
    assert (summary.left_share.n, round(summary.left_share.value * 7)) == (7, 3)


def test_without_votes_and_with_ties_alone_there_is_no_rate() -> None:
    row = ComparisonRow(id="cmp_1", models=["x", "y"])
    none = summarise(row, {"i0": False}, {}, 0)
    assert (none.win_rate, none.score, none.left_share, none.agreement, none.ties) == (None, None, None, None, 0)
    ties = summarise(row, {"i0": False}, {"i0": Counter(tie=1)}, 1)
    assert (ties.win_rate, ties.left_share, ties.ties) == (None, None, 1)
    assert ties.score is not None
    assert ties.score.value == 0.5
