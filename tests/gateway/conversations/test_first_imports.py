"""What a team's first files have: shapes and slips that no published format names."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gateway.conversations import UnusableFile
from gateway.conversations.conversation import Import
from gateway.conversations.formats import read_conversations, registry
from gateway.conversations.records import Record, iterate_records
from training.dataset import Problem

CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
TURNS = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]
ROW = json.dumps({"messages": CHAT})


def read(*rows: dict[str, Any]) -> Import:
    return read_conversations("\n".join(map(json.dumps, rows)).encode())[1]


def list_texts(content: Import) -> list[list[str]]:
    return [[message.text for message in one.messages] for one in content.conversations]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[\n{ROW},\n{ROW},\n]", "JSON list of the file can't be read: in line 4, nothing follows the comma"),
        (f"[\n{ROW},\n{ROW}\n", "JSON list of the file breaks off at its end"),
        (f'[\n{ROW},\n{{"messages": NaN}}\n]', "in line 3, invalid character"),
        ("\n".join([json.dumps({"messages": CHAT}, indent=1)] * 2), "another value begins, and several objects"),
    ],
)
def test_json_over_several_lines_names_the_line_at_which_it_breaks_off(text: str, words: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        read_conversations(text.encode())


def test_a_cut_first_line_of_jsonl_is_one_bad_row() -> None:
    _, content = read_conversations(f"{ROW[:30]}\n{ROW}\n".encode())
    assert [problem.row for problem in content.problems] == [1]
    assert [one.number for one in content.conversations] == [2]


def test_excels_unicode_text_is_read() -> None:
    _, content = read_conversations("question\treply\nWhy?\tGrüße\n".encode("utf-16"))
    assert list_texts(content) == [["Why?", "Grüße"]]


@pytest.mark.parametrize("blank", ["<noinput>", "<No Input>", " noinput"])
def test_the_words_for_no_input_are_no_part_of_the_question(blank: str) -> None:
    assert list_texts(read({"instruction": "Why?", "input": blank, "output": "So."})) == [["Why?", "So."]]


@pytest.mark.parametrize(
    ("weight", "learnt"), [("0", 0), (0.0, 0), ("false", 0), ("1", None), (None, None), (True, None)]
)
def test_a_switch_that_is_a_text_counts_as_one(weight: Any, learnt: int | None) -> None:
    content = read({"conversations": [TURNS[0], {**TURNS[1], "weight": weight}, *TURNS]})
    assert content.conversations[0].messages[1].weight == learnt


def test_a_weight_that_is_neither_is_a_bad_row() -> None:
    (problem,) = read({"conversations": [*TURNS, TURNS[0], {**TURNS[1], "weight": 0.5}]}).problems
    assert "whose `weight` is 0.5" in problem.message


@pytest.mark.parametrize("member", ["image", "images", "videos", "audios"])
def test_a_row_with_pictures_beside_its_turns_is_a_bad_row(member: str) -> None:
    content = read({"conversations": TURNS, member: ["a.png"]}, {"conversations": TURNS, member: []})
    assert [problem.row for problem in content.problems] == [1]
    assert "only text is learnt" in content.problems[0].message


def test_the_first_sharegpt_dumps_call_their_turns_items() -> None:
    assert list_texts(read({"id": "7", "items": TURNS})) == [["Why?", "So."]]


def test_a_row_of_another_format_says_what_it_has() -> None:
    (problem,) = read({"conversations": TURNS}, {"instruction": "Why?", "output": "So."}).problems
    assert problem.message == "It has no list of turns, such as `conversations`, and the members instruction, output."


def test_members_beside_messages_are_counted_and_not_refused() -> None:
    content = read({"id": "a", "topic": "x", "messages": CHAT}, {"id": "b", "topic": "", "messages": CHAT})
    assert [one.id for one in content.conversations] == ["a", "b"]
    assert content.omitted == {"rows' other members: topic": 1}


def test_an_unknown_format_says_which_members_there_are() -> None:
    with pytest.raises(UnusableFile, match="Its records have title, mapping"):
        read({"title": "x", "mapping": {}})


def test_a_completion_that_is_a_number_is_learnt_as_its_digits() -> None:
    assert list_texts(read({"prompt": "Why?", "completion": 3}))[0] == ["Why?", "3"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("messages", json.dumps(CHAT)),
        ("conversations", str(TURNS)),
        ("conversations", str(TURNS).replace("}, {", "}\n {")),
    ],
    ids=["json", "python", "numpy"],
)
def test_turns_in_a_cell_of_a_table_are_read(name: str, cell: str) -> None:
    quoted = cell.replace('"', '""')
    _, content = read_conversations(f'topic,{name}\nx,"{quoted}"\nx,[broken\n'.encode())
    assert list_texts(content) == [["Why?", "So."]]
    assert [problem.row for problem in content.problems] == [2]


def test_a_parquet_column_of_a_list_per_member_is_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": 1, "messages": {"role": ["user", "assistant"], "content": ["Why?", "So."]}, "note": None}]
    monkeypatch.setattr("gateway.conversations.formats.registry.load_parquet", lambda _: rows)
    assert list_texts(read_conversations(b"PAR1")[1]) == [["Why?", "So."]]


@pytest.mark.parametrize("cell", ["#NAME?", "#REF!", "#N/A"])
def test_a_spreadsheets_error_is_no_reply(cell: str) -> None:
    _, content = read_conversations(f"question,reply\nWhy?,{cell}\nWhy?,So.\n".encode())
    assert list_texts(content) == [["Why?", "So."]]
    assert f"Its 'reply' is {cell}, which a spreadsheet writes" in content.problems[0].message


@pytest.mark.parametrize("cell", ["NaN", "NULL", "<NA>", r"\N"])
def test_what_programs_write_for_nothing_is_no_reply(cell: str) -> None:
    _, content = read_conversations(f"question,reply\nWhy?,{cell}\nWhy?,So.\n".encode())
    assert [problem.row for problem in content.problems] == [1]


def test_messages_of_a_table_are_in_the_order_of_their_times() -> None:
    table = (
        b"conversation,role,text,created_at\n1,agent,Bye.,2026-01-02 11:00\n1,customer,Thanks?,2026-01-02 10:30\n"
        b"1,agent,So.,2026-01-02 10:00\n1,customer,Why?,2026-01-01T23:00:00-08:00\n"
    )
    _, content = read_conversations(table)
    assert list_texts(content) == [["Why?", "So.", "Thanks?", "Bye."]]


def test_a_time_that_cannot_be_read_is_a_bad_row_where_the_map_says_that_it_is_one() -> None:
    table = b"conversation,role,text,at\n1,customer,Why?,2/1/26 10 o'clock\n1,agent,So.,2026-01-02 10:00\n"
    _, content = read_conversations(table, None, {"time": "at"})
    assert content.conversations == []
    assert "Its time \"2/1/26 10 o'clock\" can't be read" in content.problems[0].message
    assert list_texts(read_conversations(table)[1]) == [["Why?", "So."]], "and else the file's order counts"


@pytest.mark.parametrize(("header", "note", "reply"), [("public", "false", "true"), ("is_private", "1", "0")])
def test_internal_notes_of_a_table_are_left_out(header: str, note: str, reply: str) -> None:
    table = f"conversation,role,text,{header}\n1,customer,Why?,{reply}\n1,agent,He again,{note}\n1,agent,So.,{reply}\n"
    _, content = read_conversations(table.encode())
    assert list_texts(content) == [["Why?", "So."]]
    assert content.omitted == {"internal notes": 1}


@pytest.mark.parametrize(
    ("customer", "agent"), [("End User", "Support Agent"), ("end_user", "Team"), ("Visitor", "Teammate")]
)
def test_roles_of_a_table_are_known_however_they_are_spelt(customer: str, agent: str) -> None:
    _, content = read_conversations(f"conversation,role,text\n1,{customer},Why?\n1,{agent},So.\n".encode())
    assert list_texts(content) == [["Why?", "So."]]


def test_the_format_of_a_long_file_is_told_by_its_first_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def iterate_and_count(text: str, lists: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, Record]]:
        lengths.append(text.count("\n"))
        return iterate_records(text, lists, problems)

    monkeypatch.setattr(registry, "iterate_records", iterate_and_count)
    assert registry.find_format(f"{ROW}\n".encode() * 5_000) == "openai"
    assert max(lengths) < 500


@pytest.mark.parametrize("text", ["[3, 1, 2]", '{"a": 1}', '["Hello"]', '[{"name": "Ann"}]'])
def test_json_that_is_no_list_of_turns_stays_a_text_of_its_cell(text: str) -> None:
    cell = '"' + text.replace('"', '""') + '"'
    for table, texts in (
        (f"instruction,input,output\nSort this.,{cell},Done\n", [[f"Sort this.\n\n{text}", "Done"]]),
        (f"prompt,completion\n{cell},{cell}\n", [[text, text]]),
        (f"prompt,chosen,rejected\nWrite JSON.,{cell},no\n", [["Write JSON.", text]]),
    ):
        content = read_conversations(table.encode())[1]
        assert (list_texts(content), content.problems) == (texts, [])


@pytest.mark.parametrize(
    ("header", "note", "reply"), [("internal", "Internal", "external"), ("public", "private", "public")]
)
def test_notes_are_told_by_words_too_and_a_word_that_says_neither_is_a_bad_row(
    header: str, note: str, reply: str
) -> None:
    table = "conversation,role,text,{}\n1,user,Q,{}\n1,agent,secret,{}\n1,agent,A,{}\n"
    content = read_conversations(table.format(header, reply, note, reply).encode())[1]
    assert list_texts(content) == [["Q", "A"]]
    content = read_conversations(table.format(header, reply, "vielleicht", reply).encode())[1]
    assert list_texts(content) == []
    assert ["'vielleicht'" in problem.message for problem in content.problems] == [False, True]
