from typing import Any

import msgspec
import pytest

from training.preference_rows import check_preference_rows, has_preferences, read_preference_rows
from training.rendered_rows import RenderedFileWriter

USER = {"role": "user", "content": "Where is it?"}
GOOD = {"role": "assistant", "content": "In the shed."}
BAD = {"role": "assistant", "content": "No idea."}


def preference(*messages: Any, preferred: Any = (GOOD,), rejected: Any = (BAD,), **more: Any) -> dict[str, Any]:
    return {
        "input": {"messages": list(messages) or [USER]},
        "preferred_output": list(preferred),
        "non_preferred_output": list(rejected),
        **more,
    }


def encode(*rows: Any) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else msgspec.json.encode(row) for row in rows)


def test_both_replies_stand_behind_the_conversation_and_nothing_else_is_learnt() -> None:
    system = {"role": "system", "content": "Be kind."}
    earlier = {"role": "assistant", "content": "Hello!"}
    sdk = preference(
        system,
        USER,
        earlier,
        USER,
        preferred=[{**GOOD, "weight": 0, "refusal": None}],
        braid={"passages": [], "written_by": "base"},
    )
    sdk["input"] |= {"tools": [], "parallel_tool_calls": True}
    (row,), problems = read_preference_rows(encode(b"", sdk))
    assert not problems
    assert (row.number, row.better.number, row.worse.number, row.passages, row.written_by) == (2, 2, 2, [], "base")
    assert [message.text for message in row.better.messages] == [
        "Be kind.", "Where is it?", "Hello!", "Where is it?", "In the shed.",
    ]  # fmt: skip
    assert row.worse.messages[:-1] == row.better.messages[:-1]
    assert row.worse.messages[-1].text == "No idea."
    for half in (row.better, row.worse):
        assert [message.is_target for message in half.messages] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"{", "not one JSON object"),
        ({"messages": [USER, GOOD]}, "the method supervised"),
        ({"input": {"messages": [USER]}, "preferred_output": [GOOD]}, "non_preferred_output"),
        (preference(preferred=[]), "preferred_output isn't one assistant's message"),
        (preference(rejected=[USER]), "non_preferred_output isn't one assistant's message"),
        (preference(rejected=[GOOD, BAD]), "non_preferred_output isn't one assistant's message"),
        (preference(rejected=[{"role": "assistant", "content": " "}]), "non_preferred_output is an empty reply"),
        (preference(rejected=[GOOD]), "Both of its replies are the same"),
        (preference(USER, GOOD), "doesn't end with a message that is answered"),
        (preference({**USER, "weight": 1}), "user's and has a weight"),
        (preference(preferred=[{"role": "assistant", "content": None, "refusal": "No."}]), "write a refusal there"),
        (preference(USER, {"role": "tool", "content": "4", "tool_call_id": "c"}), "It has tools"),
        (
            {**preference(), "input": {"messages": [USER], "tools": [{"type": "function", "function": {}}]}},
            "It has tools",
        ),
        (preference(extra=1), "A row is"),
    ],
)
def test_a_bad_row_is_named_with_its_fault(row: Any, words: str) -> None:
    rows, problems = read_preference_rows(encode(preference(), row))
    assert [one.number for one in rows] == [1]
    assert [problem.row for problem in problems] == [2]
    assert words in problems[0].message


def test_a_file_is_of_preferences_when_its_first_row_is() -> None:
    first = {"input": {}, "preferred_output": None}
    assert has_preferences(encode(b"", first, {"messages": []})) is True
    assert has_preferences(encode({"messages": []}, first)) is False
    assert has_preferences(b"{\n") is False
    assert has_preferences(b"\n \n") is None
    assert check_preference_rows(encode(preference(), first)).rows == 2


def test_rendered_preferences_are_open_ais_rows_at_their_lines() -> None:
    writer = RenderedFileWriter()
    writer.add_preference(1, [USER], BAD, GOOD)
    writer.add_preference(3, [USER], GOOD, BAD)
    data = writer.close()
    lines = data.split(b"\n")
    assert lines[1] == b""
    assert msgspec.json.decode(lines[2]) == preference(USER, preferred=[GOOD], rejected=[BAD])
    rows, problems = read_preference_rows(data)
    assert ([row.number for row in rows], problems) == ([1, 3], [])


@pytest.mark.parametrize("place", ["input", "preferred_output", "messages", "role", "content"])
def test_a_name_that_stands_twice_is_named_with_its_row(place: str) -> None:
    sound = encode(preference(metadata={"role": "x"}))
    twice = sound.replace(f'"{place}":'.encode(), f'"{place}":null,"{place}":'.encode(), 1)
    twice = twice.replace(b"null", {"role": b'"user"', "content": b'"Hm?"'}.get(place, b"[]"), 1)
    if place == "input":
        twice = twice.replace(b'"input":[]', b'"input":{"messages":[]}', 1)
    rows, (problem,) = read_preference_rows(encode(sound, twice))
    assert (len(rows), problem.row, f"{place!r} twice" in problem.message) == (1, 2, True), problem
