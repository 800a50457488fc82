import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations import Conversation, UnusableFile, encode_conversations
from gateway.conversations.checks import check_conversations
from gateway.conversations.formats import read_conversations
from gateway.conversations.formats.registry import FORMATS
from training.dataset import Message, RowPassage, check_rows, read_rows
from training.preference_rows import check_preference_rows

PAIR = [("user", "How long is it?"), ("assistant", "A year, dear customer.")]


def read(value: Any, format: str | None = None, **columns: str) -> tuple[str, list[list[tuple[str, str]]]]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    name, content = read_conversations(data, format, columns)
    assert not content.problems, content.problems
    return name, [[(message.role, message.text) for message in one.messages] for one in content.conversations]


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("openai", {"messages": [{"role": role, "content": text} for role, text in PAIR]}),
        ("alpaca", {"instruction": PAIR[0][1], "input": "", "output": PAIR[1][1]}),
        (
            "sharegpt",
            {"conversations": [{"from": "human", "value": PAIR[0][1]}, {"from": "gpt", "value": PAIR[1][1]}]},
        ),
    ],
)
def test_a_format_is_recognised_as_a_list_and_by_lines(format: str, record: dict[str, Any]) -> None:
    lines = f"{json.dumps(record)}\n{json.dumps(record)}\n".encode()
    assert read(lines) == (format, [PAIR, PAIR])
    assert read([record, record]) == read({"data": [record, record]}) == (format, [PAIR, PAIR])
    assert read(record) == read(json.dumps(record, indent=1).encode()) == (format, [PAIR])


@pytest.mark.parametrize("switch", [{"weight": 0}, {"train": False}, {"loss": False}, {"weight": 0.0}])
def test_turns_that_a_trainer_would_leave_out_are_not_learnt(switch: dict[str, Any]) -> None:
    turns = [{"from": "human", "value": "One?"}, {"from": "gpt", "value": "Bad.", **switch}]
    turns += [
        {"from": "human", "value": "Two?", **switch},
        {"from": "gpt", "value": "Good.", "loss": True, "weight": 1},
    ]
    _, content = read_conversations(json.dumps({"conversations": turns}).encode())
    (one,) = content.conversations
    assert [(message.text, message.weight) for message in one.messages if message.role == "assistant"] == [
        *(("Bad.", 0), ("Good.", None))
    ]


@pytest.mark.parametrize("name", ["conversations", "conversation"])
def test_turns_of_chats_are_read_under_the_names_of_sharegpt_and_none_is_lost(name: str) -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": PAIR[0][1]}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": PAIR[1][1]}]
    assert read([{name: turns}]) == ("sharegpt", [PAIR])
    parts.append({"type": "image_url", "image_url": {"url": "https://a.example/a.png"}})
    _, content = read_conversations(json.dumps([{name: turns}]).encode())
    assert [problem.message for problem in content.problems] == [
        "A turn has something else than text in it, and only text is learnt."
    ]


@pytest.mark.parametrize("table", ["sep={}\n{}", "\n\n{1}", "sep={}\r\n{}"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_as_excel_and_old_programs_write_it(table: str, end: str, delimiter: str) -> None:
    rows = [("question", "reply"), (PAIR[0][1], f'"{PAIR[1][1]}"')]
    text = table.format(delimiter, "".join(f"{delimiter.join(row)}{end}" for row in rows))
    assert read(text.encode()) == ("csv", [PAIR])


def test_alpacas_input_history_and_system_are_turns() -> None:
    record = {
        "instruction": "Shorten.",
        "input": "Long.",
        "output": "L.",
        "history": [["a", "b"]],
        "system": "Be brief.",
    }
    roles = ["system", "user", "assistant", "user", "assistant"]
    texts = ["Be brief.", "a", "b", "Shorten.\n\nLong.", "L."]
    assert read([record]) == ("alpaca", [list(zip(roles, texts, strict=True))])


def test_blank_turns_say_nothing_and_the_first_turns_of_nobody_are_left_out() -> None:
    turns = [("system", " "), ("human", PAIR[0][1]), ("gpt", " \n"), ("gpt", PAIR[1][1])]
    record = {"conversations": [{"from": role, "value": text} for role, text in turns]}
    assert read([record]) == ("sharegpt", [PAIR])


def test_a_reply_before_any_question_is_read_and_not_learnt() -> None:
    turns = [("gpt", "Welcome!"), ("human", PAIR[0][1]), ("gpt", PAIR[1][1])]
    record = {"conversations": [{"from": role, "value": text} for role, text in turns]}
    _, content = read_conversations(json.dumps([record]).encode())
    assert [message.weight for message in content.conversations[0].messages] == [0, None, None]


@pytest.mark.parametrize(
    "turns",
    [[], [("gpt", "Yes.")], [("human", "Why?")], [("system", "x"), ("gpt", "Yes.")], [("gpt", "Yes."), ("gpt", "So.")]],
)
def test_a_conversation_without_a_question_or_a_reply_is_a_problem(turns: list[tuple[str, str]]) -> None:
    record = {"conversations": [{"from": role, "value": text} for role, text in turns]}
    _, content = read_conversations(json.dumps([record]).encode(), "sharegpt")
    assert content.conversations == []
    assert [problem.row for problem in content.problems] == [1]


def test_preference_rows_come_back_as_they_were() -> None:
    row = {
        "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "preferred_output": [{"role": "assistant", "content": "Good day."}],
        "non_preferred_output": [{"role": "assistant", "content": "Yo."}],
    }
    name, content = read_conversations(json.dumps(row).encode())
    assert name == "openai-preferences"
    assert content.conversations[0].rejected == "Yo."
    assert json.loads(encode_conversations(content.conversations)) == row


def test_earlier_replies_of_a_preference_are_no_replies_to_learn() -> None:
    turns = [*PAIR, ("user", "Sure?")]
    row = {
        "input": {"messages": [{"role": role, "content": text} for role, text in turns]},
        "preferred_output": [{"role": "assistant", "content": "Good day."}],
        "non_preferred_output": [{"role": "assistant", "content": "Yo."}],
    }
    (one,) = read_conversations(json.dumps([row]).encode())[1].conversations
    assert one.replies == ["Good day."]
    assert json.loads(encode_conversations([one])) == row
    assert "weight_0" not in [finding.check for finding in check_conversations([one])]


EXTRAS: list[dict[str, Any]] = [
    {},
    {"metadata": {"conversation_id": "c7"}},
    {"metadata": None},
    {"metadata": "of mine"},
    {"tools": [{"type": "function"}]},
    {"id": 7},
    {"braid": {"passages": []}},
    {"parallel_tool_calls": True},
]


@pytest.mark.parametrize("extra", EXTRAS, ids=map(str, EXTRAS))
@pytest.mark.parametrize("reply", [[{"role": "assistant", "content": text}] for text in ("Yo.", "A year.", " ")])
def test_the_check_and_an_upload_refuse_the_same_rows(extra: dict[str, Any], reply: list[dict[str, str]]) -> None:
    question = [{"role": "user", "content": "Hi"}]
    preference = {"input": {"messages": question}, "preferred_output": reply}
    worse = [{"role": "assistant", "content": "Yo."}]
    for format, row, check in (
        ("openai", {"messages": question + reply}, check_rows),
        ("openai-preferences", {**preference, "non_preferred_output": worse}, check_preference_rows),
    ):
        data = json.dumps({**row, **extra}).encode()
        _, content = read_conversations(data, format)
        assert content.problems == check(data).problems


def test_rows_of_chats_say_their_thread() -> None:
    row = {"messages": [{"role": r, "content": t} for r, t in PAIR], "metadata": {"conversation_id": "c7"}}
    _, content = read_conversations(json.dumps(row).encode())
    assert [one.id for one in content.conversations] == ["c7"]


def test_a_table_of_pairs_needs_no_map_where_its_header_says_all() -> None:
    assert read(b"Question;Answer\n" + f"{PAIR[0][1]};{PAIR[1][1]}\n".encode()) == ("csv", [PAIR])


def test_a_table_of_pairs_is_read_by_its_map() -> None:
    table = f'Ticket,Betreff,Antwort\n7,{PAIR[0][1]},"{PAIR[1][1]}"\n'.encode()
    _, content = read_conversations(table, None, {"question": "Betreff", "reply": "Antwort", "conversation": "Ticket"})
    (one,) = content.conversations
    assert (one.number, one.id, one.replies) == (1, "7", [PAIR[1][1]])


def test_a_table_of_messages_is_joined_by_conversation() -> None:
    table = b"ticket,author,body\n1,customer,How\n1,customer,long?\n2,agent,Hello\n1,agent,A year.\n1,customer,Thanks\n"
    _, content = read_conversations(table, None, {"conversation": "ticket", "role": "author", "text": "body"})
    (one,) = content.conversations
    assert [(message.role, message.text) for message in one.messages] == [
        ("user", "How\n\nlong?"),
        ("assistant", "A year."),
    ]
    assert [problem.row for problem in content.problems] == [3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,Visiteur?,When?", "It has the role 'Visiteur?'"),
        ("1,customer,When, please?", "It has more cells than the header"),
    ],
)
def test_a_conversation_with_a_row_that_cannot_be_read_is_a_problem_as_a_whole(row: str, message: str) -> None:
    table = f"id,role,text\n1,customer,Why?\n2,customer,How?\n1,agent,So.\n{row}\n1,agent,Now.\n2,agent,Thus.\n"
    _, content = read_conversations(table.encode())
    assert [(one.id, one.replies) for one in content.conversations] == [("2", ["Thus."])]
    whole, one = content.problems
    assert (whole.row, whole.message) == (1, "The conversation '1' has a row that can't be read, and isn't whole.")
    assert (one.row, one.message[: len(message)]) == (4, message)


@pytest.mark.parametrize("columns", [{}, {"conversation": "id", "role": "author", "text": "message"}])
def test_a_table_of_messages_may_name_its_customer_and_its_agent(columns: dict[str, str]) -> None:
    table = b"id,customer,agent,author,message\n1,Ann,Bob,customer,Why?\n1,Ann,Bob,agent,So.\n"
    assert read(table, **columns) == ("csv", [[("user", "Why?"), ("assistant", "So.")]])
    pairs = {"question": "author", "reply": "message"}
    assert read(table, **pairs) == ("csv", [[("user", "customer"), ("assistant", "Why?")], [*AGENT]])


AGENT = [("user", "agent"), ("assistant", "So.")]


def test_messages_that_say_no_conversation_are_not_joined() -> None:
    table = b"conversation,role,text\n,customer,Why?\n7,customer,How?\n,agent,So.\n7,agent,Thus.\n"
    _, content = read_conversations(table)
    assert [(one.id, one.replies) for one in content.conversations] == [("7", ["Thus."])]
    assert [(problem.row, problem.message[:24]) for problem in content.problems] == [
        *((row, "It says no conversation,") for row in (1, 3)),
    ]


def test_a_row_with_more_cells_than_the_header_is_a_problem_and_not_cut() -> None:
    table = b"question,answer\nWhy?,Yes, so.\nHow?,Thus.\nWhen?,Now.,,\n"
    _, content = read_conversations(table)
    assert [(one.number, one.replies) for one in content.conversations] == [(2, ["Thus."]), (3, ["Now."])]
    assert [(problem.row, problem.message) for problem in content.problems] == [
        (1, "It has more cells than the header. Put quotes around texts that have a ',' in them.")
    ]


@pytest.mark.parametrize(
    ("header", "cells", "turns"),
    [
        ("instruction,input,output", "Shorten.,Long.,L.", [("user", "Shorten.\n\nLong."), ("assistant", "L.")]),
        ("Instruction, Input,Output", "Shorten.,Long.,L.", [("user", "Shorten.\n\nLong."), ("assistant", "L.")]),
        ("instruction,output,system_prompt", "A?,B.,C", [("system", "C"), ("user", "A?"), ("assistant", "B.")]),
        ("prompt,chosen,rejected", "Why?,So.,Yo.", [("user", "Why?"), ("assistant", "So.")]),
    ],
)
def test_a_table_with_the_members_of_another_formats_rows_is_read_as_such(
    header: str, cells: str, turns: list[tuple[str, str]]
) -> None:
    _, content = read_conversations(f"{header}\n,,\n{cells}\n{cells},more\n".encode())
    assert [[(message.role, message.text) for message in one.messages] for one in content.conversations] == [turns]
    assert [one.rejected for one in content.conversations] == ["Yo." if "rejected" in header else None]
    assert [problem.row for problem in content.problems] == [3], "a blank row, as spreadsheets leave them, is none"
    assert "more cells" in content.problems[0].message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"question,answer,answer\nWhy?,So.,No.\n", "'answer', 'answer (2)' have one name. Say which is the reply"),
        (b"Question,question ,answer\nWhy?,How?,So.\n", "'Question', 'question (2)' have one name"),
        (b"id,author,text,text\n1,user,Why?,x\n", "--map 'text=text (2)'"),
        (b"question,answer,system,system\nWhy?,So.,a,b\n", "'system', 'system (2)' have one name"),
        (b"instruction,input,input,output\nAdd.,1,2,3.\n", "'input', 'input (2)' have one name"),
        (b'[{"Question": "Why?", "question": "How?", "answer": "So."}]', "'Question', 'question' have one name"),
    ],
)
def test_none_of_two_columns_with_one_name_is_taken_unasked(table: bytes, words: str) -> None:
    with pytest.raises(UnusableFile) as error:
        read_conversations(table)
    assert words in str(error.value)


def test_a_map_tells_columns_of_one_name_apart_and_others_may_be_double() -> None:
    table = b"Body,Body,note,note,,\nWhy?,So.,x,y,z,z\n"
    assert read(table, question="Body", reply="Body (2)") == ("csv", [[("user", "Why?"), ("assistant", "So.")]])
    assert read(b"question,answer,note,Note,,\nWhy?,So.,x,y,z,z\n")[1] == [[("user", "Why?"), ("assistant", "So.")]]


def test_a_delimiter_in_a_header_s_quotes_is_none() -> None:
    table = b'"Question, as asked, in words";Reply\nWhy?;So.\n'
    assert read(table, question="Question, as asked, in words") == ("csv", [[("user", "Why?"), ("assistant", "So.")]])


@pytest.mark.parametrize("member", [{"ticket": 7}, {"comments": "good"}])
def test_a_ticket_s_number_or_a_comment_beside_a_pair_makes_no_thread(member: dict[str, Any]) -> None:
    assert read([{"question": "Why?", "answer": "So.", **member}]) == (
        "json",
        [[("user", "Why?"), ("assistant", "So.")]],
    )


def test_a_row_of_a_table_of_pairs_may_have_a_system_text_and_needs_both_texts() -> None:
    table = b"question,answer,system\nWhy?,So., Be kind. \nWhy?,So.,  \n  ,So.,x\nWhy?, \t,x\n"
    _, content = read_conversations(table)
    assert [[message.role for message in one.messages] for one in content.conversations] == [
        ["system", "user", "assistant"],
        ["user", "assistant"],
    ]
    assert [(problem.row, problem.message.split(",")[0]) for problem in content.problems] == [
        (3, "It has no question."),
        (4, "It has no final reply"),
    ]


def test_the_roles_of_a_table_of_messages_are_read_in_any_case_and_others_are_named() -> None:
    table = b"ticket,author,body\n1, Customer ,Why?\n2,AGENT,Hello\n3,robot,Beep\n1,Agent,So.\n1,agent,  \n"
    columns = {"conversation": "ticket", "role": "author", "text": "body"}
    _, content = read_conversations(table, None, columns)
    (one,) = content.conversations
    assert (one.number, one.id, [message.text for message in one.messages]) == (1, "1", ["Why?", "So."])
    assert [problem.row for problem in content.problems] == [2, 3], "in the order of the rows"
    assert "no question with a reply" in content.problems[0].message
    assert "the role 'robot', and only these are known: user, human, customer" in content.problems[1].message


def test_a_rows_thread_is_its_own_also_behind_a_line_that_is_none() -> None:
    messages = [{"role": role, "content": text} for role, text in PAIR]
    rows = [{"messages": messages, "metadata": {"conversation_id": id}} for id in ("a", "b")]
    data = b"\n".join([json.dumps(rows[0]).encode(), b"no json", json.dumps(rows[1]).encode()])
    _, content = read_conversations(data, "openai")
    assert [(one.number, one.id) for one in content.conversations] == [(1, "a"), (3, "b")]
    assert [problem.row for problem in content.problems] == [2]


def test_a_preference_without_a_question_or_a_reply_is_a_problem() -> None:
    good = {"input": {"messages": [{"role": "user", "content": "Hi"}]}}
    good |= {name: [{"role": "assistant", "content": name}] for name in ("preferred_output", "non_preferred_output")}
    rows = [good, {**good, "preferred_output": []}, {**good, "input": {"messages": []}}]
    _, content = read_conversations("\n".join(map(json.dumps, rows)).encode())
    assert [one.number for one in content.conversations] == [1]
    assert [problem.row for problem in content.problems] == [2, 3]


@pytest.mark.parametrize(
    ("data", "columns", "words"),
    [
        (b"a,b\n1,2\n", {}, "It isn't clear what the columns a, b are"),
        (b"a,b\n1,2\n", {"question": "c", "reply": "b"}, "There is no column 'c'"),
        (b"a,b\n1,2\n", {"topic": "a"}, "A column can't be 'topic'"),
        (b'{"foo": 1}\n', {}, "format isn't known"),
        (b"question,reply\nWhy?,\xfc\x81\x9d\n", {}, "Line 2 has a byte that UTF-8"),
        (b'question,answer\nWhy?,So.\n"Why?" so,"No\n', {}, "no CSV: in row 2"),
        (b"PK\x03\x04\x14\x00\xe2\x80", {}, "It is no text, such as a workbook"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, columns: dict[str, str], words: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        read_conversations(data, None, columns)


def test_parquet_is_read_where_pyarrow_is_or_says_how_to_get_it() -> None:
    with pytest.raises(UnusableFile, match=r"uv pip install pyarrow|can't be read as Parquet"):
        read_conversations(b"PAR1 and no more")


def test_an_unknown_format_is_named_with_those_that_are() -> None:
    with pytest.raises(UnusableFile, match=r"no format 'xml'.*openai"):
        read_conversations(b"{}", "xml")


def test_bad_records_are_problems_by_number() -> None:
    lines = b'{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": ""}\nno json\n[]\n'
    _, content = read_conversations(lines)
    assert [problem.row for problem in content.problems] == [2, 3, 4]
    assert [one.number for one in content.conversations] == [1]


TEXT = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != "")
REPLY = st.builds(Message, st.just("assistant"), TEXT, weight=st.sampled_from([None, 1]))


@st.composite
def conversations(draw: st.DrawFn) -> list[Conversation]:
    def one(number: int) -> Conversation:
        system = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
        turns = [turn for _ in range(draw(st.integers(1, 3))) for turn in (Message("user", draw(TEXT)), draw(REPLY))]
        passages = draw(st.none() | st.lists(st.builds(RowPassage, TEXT, TEXT), max_size=2))
        return Conversation(number, [*system, *turns], passages=passages)

    return [one(number) for number in range(1, draw(st.integers(1, 3)) + 1)]


@given(conversations())
def test_conversations_come_back_from_openais_rows_as_they_were(some: list[Conversation]) -> None:
    data = encode_conversations(some)
    name, content = read_conversations(data)
    assert name == "openai"
    assert not content.problems
    assert content.conversations == some
    assert encode_conversations(content.conversations) == data
    assert read_rows(data)[1] == []


def test_each_format_has_its_line_in_the_documentation() -> None:
    documentation = Path(__file__).parents[3].joinpath("docs", "conversations.md").read_text()
    assert [name for name in FORMATS if f"`{name}`" not in documentation] == []


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_said_to_be_empty(data: bytes) -> None:
    with pytest.raises(UnusableFile, match="The file is empty"):
        read_conversations(data)


@pytest.mark.parametrize("line", [r'{"messages": "\ud800"}', '{"messages": [', "[1", "[1, 2]"])
def test_where_no_record_can_be_read_the_first_is_named_with_what_is_wrong(line: str) -> None:
    with pytest.raises(UnusableFile, match=r"Row \d: It is no JSON"):
        read_conversations(line.encode())


class TestRepeatedNames:
    """Of two members with one name readers take the last, so that a row with them says nothing for sure."""

    SOUND = '{"question": "Where?", "answer": "Here."}'
    TWICE = '{"question": "Where?", "answer": "Here.", "answer": "There."}'

    @pytest.mark.parametrize("form", ["{}\n{}\n{}", "[{}, {}, {}]", '{{"data": [{}, {}, {}]}}'])
    def test_a_record_with_one_is_a_problem_by_its_number(self, form: str) -> None:
        data = form.format(self.SOUND, self.TWICE, self.SOUND).encode()
        _, content = read_conversations(data)
        assert [one.number for one in content.conversations] == [1, 3]
        ((number, message),) = [(problem.row, problem.message) for problem in content.problems]
        assert (number, "It says 'answer' twice" in message) == (2, True)

    def test_a_file_of_one_record_with_one_says_so(self) -> None:
        with pytest.raises(UnusableFile, match="It says 'answer' twice"):
            read_conversations(self.TWICE.encode())

    def test_two_lists_of_records_are_no_file(self) -> None:
        with pytest.raises(UnusableFile, match="It says 'data' twice"):
            read_conversations(f'{{"data": [{self.SOUND}], "data": [{self.SOUND}]}}'.encode())

    def test_a_chat_with_one_is_a_problem_as_at_an_upload(self) -> None:
        reply = '{"role": "assistant", "content": "b"}'
        row = f'{{"messages": [{{"role": "user", "role": "assistant", "content": "a"}}, {reply}]}}'
        _, content = read_conversations(row.encode(), "openai")
        assert [problem.message for problem in content.problems] == [check_rows(row.encode()).problems[0].message]


def test_a_file_of_lines_is_held_once_beside_what_is_read_of_it() -> None:
    turns = [{"role": "user", "content": "Where is it? " * 20}, {"role": "assistant", "content": "Here. " * 60}]
    line = msgspec.json.encode({"messages": turns})
    tracemalloc.start()
    try:
        data = b"\n".join([line] * 5000)
        _, content = read_conversations(data)
        kept, most = tracemalloc.get_traced_memory()
        assert len(content.conversations) == 5000
        assert most - kept < 1.6 * len(data)  # its text, and a part of it
    finally:
        tracemalloc.stop()
