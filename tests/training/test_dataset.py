import json
import re
import time
import timeit
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dataset import Problem, Row, RowPassage, check_rows, describe_problems, iterate_rows, read_rows
from training.repeated_names import find_repeated_name, may_repeat_names

USER = {"role": "user", "content": "Where is it?"}
REPLY = {"role": "assistant", "content": "Here."}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "stock", "arguments": "{}"}}
RESULT = {"role": "tool", "content": "7", "tool_call_id": "call_1"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object"}}}


def jsonl(*rows: Any) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


@pytest.mark.parametrize(
    "row",
    [
        chat(USER, REPLY),
        chat({"role": "system", "content": "Be brief."}, USER, REPLY),
        chat({"role": "developer", "content": "Be brief."}, USER, REPLY),
        chat(USER, REPLY | {"weight": 0}, USER, REPLY | {"weight": 1}),
        chat(USER, REPLY | {"weight": 0.0}, USER, REPLY | {"weight": 1.0}),
        chat({"role": "user", "content": [{"type": "text", "text": "Where?"}]}, REPLY),
        chat(USER | {"name": "ann"}, REPLY),
        chat(USER, REPLY, braid={"passages": [{"title": "Hours", "text": "Open from nine."}]}),
        chat(USER, REPLY, braid={"passages": []}),
        chat(USER, REPLY, braid={"passages": None}),
        chat(USER, REPLY, braid={"passages": [], "written_by": "base"}),
        chat(USER, REPLY, braid=None, tools=None, functions=None, parallel_tool_calls=True),
        chat(USER, REPLY, tools=[]),
        chat(USER | {"name": "ann"}, REPLY | {"name": "desk"}),
        chat(USER, REPLY | {"content": [{"type": "text", "text": "Here."}]}),
        chat({"role": "system", "content": "You greet."}, REPLY, USER, REPLY),
        chat({"role": "system", "content": "You greet."}, REPLY),
        chat(REPLY, USER, REPLY),
        chat(USER, REPLY | {"refusal": None, "audio": None, "function_call": None, "tool_calls": None, "name": None}),
        chat(USER | {"name": None, "weight": None}, REPLY | {"tool_calls": [], "annotations": [], "weight": None}),
    ],
)
def test_a_sound_row_has_no_problems(row: dict[str, Any]) -> None:
    report = check_rows(jsonl(row))
    assert (report.rows, report.problems) == (1, [])


@given(st.lists(st.sampled_from([None, 0, 1, 0.0, 1.0, -0.0]), min_size=1, max_size=4))
def test_a_weight_is_the_same_as_a_float(weights: list[float | None]) -> None:
    whole = [None if weight is None else int(weight) for weight in weights]
    rows, other = (
        read_rows(jsonl(chat(*(turn for weight in some for turn in (USER, REPLY | {"weight": weight})))))
        for some in (weights, whole)
    )
    assert rows == other
    assert all(type(one.weight) in (int, type(None)) for row in rows[0] for one in row.messages)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not one JSON object per line"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "JSON"),
        ("[" * 100_000, "A row is"),
        ("[]", "A row is"),
        ({}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "last message"),
        (chat("hello"), r"messages\[0\]"),
        (chat({"role": "user"}, REPLY), "content"),
        (chat({"content": "x"}, REPLY), "role"),
        (chat({"role": "human", "content": "x"}, REPLY), "human"),
        (chat({"role": "user", "content": 3}, REPLY), "content"),
        (chat({"role": "user", "content": None}, REPLY), "content"),
        (chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, REPLY), "image_url"),
        (chat(USER), "last message"),
        (chat(USER, REPLY, USER), "last message"),
        (chat(USER, {"role": "assistant", "content": "  "}), "empty reply"),
        (chat(REPLY), "first turn"),
        (chat(USER, REPLY | {"weight": 0}), "weight 0"),
        (chat(USER, REPLY | {"weight": 2}), "weight"),
        (chat(USER, REPLY | {"weight": 0.5}), "weight"),
        (chat(USER | {"weight": 1}, REPLY), "has a weight"),
        (chat(REPLY, USER, REPLY | {"weight": 0}), "nothing to learn"),
        (chat(USER, REPLY, tools=[TOOL]), "has tools"),
        (chat(USER, REPLY, functions=[TOOL["function"]]), "has tools"),
        (chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT, REPLY), "has tools"),
        (chat(USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT, REPLY, tools=[TOOL]), "has tools"),
        (chat(USER, {"role": "assistant", "content": "", "function_call": CALL["function"]}, REPLY), "has tools"),
        (chat(USER, {"role": "function", "name": "stock", "content": "7"}, REPLY), "has tools"),
        (chat(USER, {"role": "assistant", "content": None, "tool_calls": []}, REPLY), "content"),
        (chat(USER, {"role": "assistant", "content": None, "refusal": "I can't."}), "write a refusal there"),
        ({"input": {"messages": [USER]}, "preferred_output": [REPLY], "non_preferred_output": [REPLY]}, "preference"),
        (chat(USER, REPLY, braid={"passages": [{"title": "x", "text": ""}]}), "passages"),
        (chat(USER, REPLY, braid={"passages": "x"}), "passages"),
        (chat(USER, REPLY, braid={"documents": []}), "documents"),
        (chat(USER, REPLY, braid={"written_by": ""}), "written_by"),
    ],
)
def test_bad_rows_are_named_by_their_line(row: Any, reason: str) -> None:
    report = check_rows(jsonl(chat(USER, REPLY), "", row, chat(USER, REPLY)))
    assert report.rows == 3
    assert [problem.row for problem in report.problems] == [3]
    assert re.search(reason, report.problems[0].message)


def test_a_line_that_is_not_text_is_one_problem() -> None:
    report = check_rows(b'\xff\xfe{"messages"\n' + jsonl(chat(USER, REPLY)))
    assert report.rows == 2
    assert [problem.row for problem in report.problems] == [1]


def test_an_empty_file_has_no_rows() -> None:
    assert check_rows(b"\n \r\n").rows == 0


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    rows, problems = read_rows(
        b"\xef\xbb\xbf" + jsonl(chat(USER, REPLY)) + b"\r\n" + jsonl(chat(USER, REPLY)) + b"\r\n"
    )
    assert problems == []
    assert [row.number for row in rows] == [1, 2]


def test_parts_are_joined_as_the_engine_joins_them() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    rows, _ = read_rows(jsonl(chat({"role": "user", "content": parts}, REPLY)))
    assert rows[0].messages[0].text == "one\ntwo"


def test_a_rows_passages_come_with_it() -> None:
    rows, _ = read_rows(jsonl(chat(USER, REPLY, braid={"passages": [{"title": "Hours", "text": "From nine."}]})))
    assert rows[0].passages == [RowPassage("Hours", "From nine.")]


@pytest.mark.parametrize("braid", [None, {}, {"written_by": None}, {"written_by": "base"}])
def test_a_row_says_which_model_wrote_it_or_nothing_of_one(braid: dict[str, Any] | None) -> None:
    rows, _ = read_rows(jsonl(chat(USER, REPLY, braid=braid)))
    assert rows[0].written_by == (braid or {}).get("written_by")
    assert rows[0].passages is None


@pytest.mark.parametrize(
    ("more", "passages"),
    [({}, None), ({"braid": None}, None), ({"braid": {}}, None), ({"braid": {"passages": None}}, None),
     ({"braid": {"passages": []}}, [])],
)  # fmt: skip
def test_no_passages_and_no_word_of_passages_are_two_things(more: dict[str, Any], passages: list[Any] | None) -> None:
    rows, _ = read_rows(jsonl(chat(USER, REPLY, **more)))
    assert rows[0].passages == passages


def test_a_greeting_that_nothing_comes_before_is_read_and_not_learnt() -> None:
    rows, _ = read_rows(jsonl(chat(REPLY, USER, REPLY), chat({"role": "system", "content": "Greet."}, REPLY)))
    assert [[message.is_target for message in row.messages] for row in rows] == [[False, False, True], [False, True]]


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant"]),
            "content": st.text(min_size=1).filter(str.strip)
            | st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=3).map(
                lambda texts: [{"type": "text", "text": text} for text in texts]
            ),
        },
        optional=dict.fromkeys(
            ("name", "weight", "refusal", "audio", "function_call", "tool_calls", "tool_call_id", "annotations"),
            st.none(),
        )
        | {"name": st.none() | st.text(min_size=1)},
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(MESSAGES)
def test_any_order_of_turns_that_ends_in_a_reply_is_sound(messages: list[dict[str, Any]]) -> None:
    assert check_rows(jsonl(chat(*messages, USER, REPLY))).problems == []


PROBLEMS = [Problem(row, f"Fault {row}.") for row in range(1, 120)]


@pytest.mark.parametrize(
    ("count", "limit", "text"),
    [
        (1, 5, "Row 1: Fault 1."),
        (2, 2, "Row 1: Fault 1. Row 2: Fault 2."),
        (4, 1, "Row 1: Fault 1. Also rows 2, 3, 4."),
        (103, 1, f"Row 1: Fault 1. Also rows {', '.join(map(str, range(2, 102)))} and 2 more."),
        (0, 5, ""),
    ],
)
def test_problems_are_described_in_full_then_by_number_then_counted(count: int, limit: int, text: str) -> None:
    assert describe_problems(PROBLEMS[:count], limit) == text


@pytest.mark.parametrize("part", ["image_url", "input_audio", "file"])
def test_a_row_with_a_picture_or_sound_says_that_only_text_is_learnt(part: str) -> None:
    content = [{"type": "text", "text": "What is it?"}, {"type": part, part: {"url": "https://kestrel.de/a.png"}}]
    (problem,) = check_rows(jsonl(chat({"role": "user", "content": content}, REPLY))).problems
    assert "only text is learnt" in problem.message


class TestRepeatedNames:
    """Of two members with one name readers take the last, and a row with them says nothing for sure."""

    @pytest.mark.parametrize(
        ("row", "name"),
        [
            ('{"messages": [{"role": "user", "role": "assistant", "content": "Hm?"}, REPLY]}', "role"),
            ('{"messages": [USER, {"role": "assistant", "content": "a", "content": "b"}]}', "content"),
            ('{"messages": [USER, {"role": "assistant", "content": ["x"], "content": "b"}]}', None),
            ('{"messages": [USER, {"role": "assistant", "content": "a", "c\\u006fntent": "b"}]}', "content"),
            ('{"messages": [USER, {"role": "assistant", "content": "a", "weight": 0, "weight": 1}]}', "weight"),
            ('{"messages": [USER, {"role": "assistant", "content" : "say \\"a\\"", "content" : "b"}]}', "content"),
            ('{"messages": [USER, {"role": "assistant", "content": "C:\\\\", "content": "D:\\\\"}]}', "content"),
            ('{"messages": [REPLY], "messages": [USER, REPLY]}', "messages"),
            ('{"messages": [USER, REPLY], "metadata": {"a": 1, "a": 2}}', "a"),
            ('{"messages": [USER, REPLY], "braid": {"passages": []}, "braid": null}', "braid"),
            ('{"messages": [USER, REPLY], "braid": {"written_by": "a", "written_by": "b"}}', "written_by"),
            (
                '{"messages": [USER, REPLY], "braid": {"passages": [{"title": "a", "text": "b", "text": "c"}]}}',
                "text",
            ),
            (
                '{"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "text": "b"}]}, REPLY]}',
                "text",
            ),
        ],
    )
    def test_a_name_that_stands_twice_is_a_problem_of_its_row(self, row: str, name: str | None) -> None:
        written = row.replace("USER", json.dumps(USER)).replace("REPLY", json.dumps(REPLY))
        rows, (problem,) = read_rows(jsonl(chat(USER, REPLY), written))
        assert [row.number for row in rows] == [1]
        assert problem.row == 2
        assert name is None or f"It says {name!r} twice" in problem.message

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"content": st.text(min_size=1).map(lambda text: f"a{text}")},
                optional={"name": st.text(), "weight": st.sampled_from([None, 0, 1])},
            ),
            min_size=1,
            max_size=3,
        ),
        st.booleans(),
        st.booleans(),
    )
    def test_no_other_row_is_one(self, replies: list[dict[str, Any]], ascii: bool, is_last: bool) -> None:
        turns = [turn for reply in replies for turn in (USER, {"role": "assistant", **reply, "weight": 1})]
        line = json.dumps(chat(*turns), ensure_ascii=ascii)
        assert check_rows(line.encode()).problems == []
        # And whatever stands in its texts, one more member is found.
        place = line.rindex('"role"') if is_last else line.index('"role"')
        (problem,) = check_rows(f'{line[:place]}"content": "", {line[place:]}'.encode()).problems
        assert "It says 'content' twice" in problem.message

    def test_looking_for_them_takes_a_part_of_the_time_that_reading_takes(self) -> None:
        line = json.dumps(chat(USER, REPLY | {"content": 'He said "yes". ' + "So it was done. " * 60})).encode()
        shares = [  # by turns, so that a machine that is slow for a moment is so for both
            timeit.timeit(lambda: may_repeat_names(line, 18), number=500)
            / timeit.timeit(lambda: read_rows(line), number=500)
            for _ in range(30)
        ]
        assert min(shares) < 1 / 2  # four tenths here, and a tenth where no mark is escaped


def test_rows_are_read_one_by_one() -> None:
    data = jsonl(*(chat(USER, REPLY | {"content": f"{number} " * 400}) for number in range(2000)))
    tracemalloc.start()
    try:
        assert sum(isinstance(row, Row) for row in iterate_rows(data)) == 2000
        assert tracemalloc.get_traced_memory()[1] < len(data) / 10
    finally:
        tracemalloc.stop()


def test_the_name_that_stands_twice_is_found_at_the_cost_of_its_object() -> None:
    begin = time.thread_time()
    names = ",".join(f'"{number}":0' for number in range(300_000))
    assert find_repeated_name(f'{{{names},"299999":1}}') == "299999"
    assert time.thread_time() - begin < 10
