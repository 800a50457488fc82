"""The rows of other trainers: whatever shape the same conversation has, the same is learnt of it."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversations import UnusableFile, encode_conversations
from gateway.conversations.formats import columns, read_conversations
from gateway.errors import BadRequest
from gateway.files.training_rows import check_training_file

Turns = list[tuple[str, str]]
Encode = Callable[[Turns], dict[str, Any]]

# Without white space at the ends, which some of these formats add, and without their marks.
TEXT = st.text(max_size=20).map(lambda text: f"“{text.replace('Human', '').replace('Assistant', '')}”.")


def messages(turns: Turns, role: str = "role", text: str = "content", **names: str) -> list[dict[str, str]]:
    return [{role: names.get(name, name), text: content} for name, content in turns]


def parts(turns: Turns, assistant: str) -> list[dict[str, Any]]:
    names = {"assistant": assistant}
    return [{"role": names.get(name, name), "parts": [{"text": text}]} for name, text in turns]


def split_system(turns: Turns) -> tuple[str, Turns]:
    return (turns[0][1], turns[1:]) if turns[0][0] == "system" else ("", turns)


def encode_alpaca(turns: Turns) -> dict[str, Any]:
    system, rest = split_system(turns)
    texts = [text for _, text in rest]
    history = [[question, reply] for question, reply in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return {"instruction": texts[-2], "input": "", "output": texts[-1], "system": system, "history": history}


def encode_bedrock(turns: Turns) -> dict[str, Any]:
    system, rest = split_system(turns)
    content = [{"role": role, "content": [{"text": text}]} for role, text in rest]
    return {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": system or "S"}], "messages": content}


def encode_gemini(turns: Turns) -> dict[str, Any]:
    system, rest = split_system(turns)
    contents = {"contents": parts(rest, "model")}
    return {"systemInstruction": {"role": "system", "parts": [{"text": system}]}, **contents} if system else contents


def encode_transcript(turns: Turns) -> dict[str, Any]:
    names = {"user": "Human", "assistant": "Assistant"}
    prompt = "".join(f"\n\n{names[role]}: {text}" for role, text in split_system(turns)[1][:-1])
    return {"prompt": f"{prompt}\n\nAssistant:", "completion": f" {turns[-1][1]}"}


CHATS: dict[str, tuple[str, Encode]] = {
    "ShareGPT": (
        "sharegpt",
        lambda turns: {"conversations": messages(turns, "from", "value", user="human", assistant="gpt")},
    ),
    "Cohere": (
        "sharegpt",
        lambda turns: {"messages": messages(turns, system="System", user="User", assistant="Chatbot")},
    ),
    "a published set": ("sharegpt", lambda turns: {"prompt": "x", "prompt_id": "7", "messages": messages(turns)}),
    "Bedrock": ("sharegpt", encode_bedrock),
    "Gemini": ("gemini", encode_gemini),
    "Alpaca": ("alpaca", encode_alpaca),
    "TRL": (
        "completions",
        lambda turns: {"prompt": messages(turns[:-1]), "completion": messages(turns[-1:])},
    ),
    "a transcript": ("completions", encode_transcript),
}
LAST_ONLY = ("TRL", "a transcript")
"""Formats of which the turns of the prompt are read and not learnt."""


@st.composite
def conversations(draw: st.DrawFn) -> list[Turns]:
    def one() -> Turns:
        system = [("system", draw(TEXT))] if draw(st.booleans()) else []
        pairs = [[("user", draw(TEXT)), ("assistant", draw(TEXT))] for _ in range(draw(st.integers(1, 3)))]
        return [*system, *(turn for pair in pairs for turn in pair)]

    return [one() for _ in range(draw(st.integers(1, 3)))]


def read(rows: Sequence[Any]) -> tuple[str, list[tuple[Turns, list[str], str | None]]]:
    name, content = read_conversations("\n".join(map(json.dumps, rows)).encode())
    assert not content.problems, content.problems
    assert read_conversations(encode_conversations(content.conversations))[1].problems == [], "it can be uploaded"
    turns = [[(message.role, message.text) for message in one.messages] for one in content.conversations]
    rest = [(one.replies, one.rejected) for one in content.conversations]
    return name, [(one, replies, worse) for one, (replies, worse) in zip(turns, rest, strict=True)]


@pytest.mark.parametrize("format", CHATS)
@settings(max_examples=10)
@given(conversations())
def test_the_same_conversation_is_the_same_rows_whatever_its_format(format: str, some: list[Turns]) -> None:
    name, encode = CHATS[format]
    if format == "a transcript":
        some = [split_system(turns)[1] for turns in some]
    elif format == "Bedrock":
        some = [[("system", split_system(turns)[0] or "S"), *split_system(turns)[1]] for turns in some]
    learnt = [[text for role, text in turns if role == "assistant"] for turns in some]
    if format in LAST_ONLY:
        learnt = [texts[-1:] for texts in learnt]
        some = some * 2  # of one row nothing is known to be a mark of its file
        learnt = learnt * 2
    expected = [(turns, replies, None) for turns, replies in zip(some, learnt, strict=True)]
    assert read([encode(turns) for turns in some]) == (name, expected)


def encode_scores(turns: Turns, worse: str) -> dict[str, Any]:
    replies = [("assistant", worse)], turns[-1:]
    scored = [
        {"score": score, "completion": parts(one, "model")[0]} for score, one in zip((0.0, 1.0), replies, strict=True)
    ]
    return {**encode_gemini(turns[:-1]), "completions": scored}


PREFERENCES: dict[str, tuple[str, Callable[[Turns, str], dict[str, Any]]]] = {
    "a prompt": (
        "preferences",
        lambda turns, worse: {
            "prompt": messages(turns[:-1]),
            "chosen": messages(turns[-1:]),
            "rejected": messages([("assistant", worse)]),
        },
    ),
    "no prompt": (
        "preferences",
        lambda turns, worse: {
            "chosen": messages(turns),
            "rejected": messages([*turns[:-1], ("assistant", worse)]),
        },
    ),
    "a prompt and whole conversations": (
        "preferences",
        lambda turns, worse: {
            "prompt": next(text for role, text in turns if role == "user"),
            "chosen": messages(turns),
            "rejected": messages([*turns[:-1], ("assistant", worse)]),
            "score_chosen": 8.5,
        },
    ),
    "a published set": (
        "preferences",
        lambda turns, worse: {
            "prompt": next(text for role, text in turns if role == "user"),
            "messages": messages(turns),
            "chosen": messages(turns),
            "rejected": messages([*turns[:-1], ("assistant", worse)]),
        },
    ),
    "LLaMA-Factory": (
        "preferences",
        lambda turns, worse: {
            "conversations": messages(turns[:-1], "from", "value", user="human", assistant="gpt"),
            "chosen": {"from": "gpt", "value": turns[-1][1]},
            "rejected": {"from": "gpt", "value": worse},
        },
    ),
    "Gemini": ("gemini", encode_scores),
}


@pytest.mark.parametrize("format", PREFERENCES)
@settings(max_examples=10)
@given(conversations(), TEXT.map(lambda text: f"No, {text}"))
def test_the_same_preference_is_the_same_rows_whatever_its_format(format: str, some: list[Turns], worse: str) -> None:
    name, encode = PREFERENCES[format]
    expected = [(turns, [turns[-1][1]], worse) for turns in some]
    assert read([encode(turns, worse) for turns in some]) == (name, expected)


@pytest.mark.parametrize("end", ["\n\n###\n\n", " ->", "\n\nAnswer:", ""])
@pytest.mark.parametrize("stop", [" END", "\n", "###", "<|endoftext|>", ""])
def test_marks_that_all_texts_of_older_rows_end_with_are_no_words(end: str, stop: str) -> None:
    pairs = [("How long?", "A year."), ("How much?", "Nothing.\n\nReally.")]
    rows = [{"prompt": f"{question}{end}", "completion": f" {reply}{stop}"} for question, reply in pairs]
    _, content = read_conversations("\n".join(map(json.dumps, rows)).encode())
    assert [[message.text.rstrip("\n") for message in one.messages] for one in content.conversations] == [
        list(pair) for pair in pairs
    ]
    _, content = read_conversations(
        b'{"prompt": "Is it called ###", "completion": "Yes."}\n{"prompt": "b", "completion": "END"}'
    )
    texts = [message.text for one in content.conversations for message in one.messages]
    assert texts == ["Is it called ###", "Yes.", "b", "END"], "what one row ends with is its own"


@pytest.mark.parametrize("lack", [{"prompt": "Why? ->"}, {"completion": " So. END"}, {"prompt": None}])
def test_a_row_that_lacks_a_text_leaves_the_others_no_mark(lack: dict[str, str | None]) -> None:
    rows = [{"prompt": f"{word}? ->", "completion": f" {word}. END"} for word in ("One", "Two")]
    _, content = read_conversations(json.dumps([*rows, lack]).encode())
    texts = [message.text for one in content.conversations for message in one.messages]
    assert texts == ["One?", "One.", "Two?", "Two."]
    assert [problem.row for problem in content.problems] == [3]


def test_replies_that_are_marked_as_bad_are_left_out() -> None:
    rows = [{"prompt": "Q?", "completion": f"{label}.", "label": label} for label in (True, False)]
    _, content = read_conversations("\n".join(map(json.dumps, rows)).encode())
    assert [one.replies for one in content.conversations] == [["True."]]
    assert list(content.omitted.values()) == [1]


@pytest.mark.parametrize(
    ("record", "format"),
    [
        ({"question": "Q?", "answer": "A."}, "json"),
        ({"system_prompt": "S", "question": "Q?", "response": "A."}, "json"),
        ({"input_text": "Q?", "output_text": "A."}, "json"),
        ({"text_input": "Q?", "output": "A."}, "json"),
        ({"instruction": "Q?", "context": "", "response": "A.", "category": "qa"}, "alpaca"),
        ({"instruction": "Q?", "output": "A."}, "alpaca"),
    ],
)
def test_a_pair_of_texts_is_a_row_under_all_usual_names(record: dict[str, str], format: str) -> None:
    system = [("system", "S")] if "system_prompt" in record else []
    turns = [*system, ("user", "Q?"), ("assistant", "A.")]
    assert read([record, record]) == (format, [(turns, ["A."], None)] * 2)


def test_json_takes_a_map_of_columns_as_tables_do() -> None:
    rows = [{"Betreff": "Q?", "Antwort": "A."}, {"Betreff": None, "Antwort": "A."}, []]
    name, content = read_conversations(json.dumps(rows).encode(), None, {"question": "Betreff", "reply": "Antwort"})
    assert (name, [one.replies for one in content.conversations]) == ("json", [["A."]])
    assert [problem.row for problem in content.problems] == [2, 3]
    rows = [{"ticket": 7, "author": author, "body": author} for author in ("customer", "agent")]
    _, content = read_conversations(json.dumps(rows).encode(), None, {"conversation": "ticket"})
    assert [[message.text for message in one.messages] for one in content.conversations] == [["customer", "agent"]]


CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}


TURNS = [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"prompt": [{"role": "user", "content": "Q?"}], "completion": [CALL]}, "tools"),
        ({"prompt": "Q?", "completion": "A.", "tools": [{"type": "function"}]}, "tools"),
        ({"conversations": [{"from": "human", "value": "Q?"}, {**CALL, "from": "gpt", "value": ""}]}, "tools"),
        ({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]}, "tools"),
        ({"contents": [{"parts": [{"inlineData": {}}]}, {"role": "model", "parts": [{"text": "A."}]}]}, "only text"),
        ({"contents": [{"role": "user", "parts": [{"text": "Q?"}]}], "completions": [{"score": 1}]}, "aren't two"),
        ({"prompt": "Q?", "completion": " "}, "completion is empty"),
        ({"prompt": "", "completion": "A."}, "prompt is empty"),
        ({"prompt": ["Q?"], "completion": "A."}, "a turn that isn't"),
        ({"chosen": "Blue is the sky.", "rejected": "Blue is the sea."}, "which part of them is the prompt"),
        ({"prompt": "Q?", "chosen": "A.", "rejected": "A."}, "are the same"),
        ({"prompt": "Q?", "chosen": " ", "rejected": "A."}, "Its chosen isn't one"),
        ({"conversations": TURNS, "tools": '[{"name": "f"}]'}, "tools"),
        ({"instruction": "Q?", "output": "A.", "tools": [{"name": "f"}]}, "tools"),
        ({"question": "Q?", "answer": "A.", "tools": [{"name": "f"}]}, "tools"),
        ({"conversations": [TURNS[0], {**TURNS[1], "train_detail": [{"begin_offset": 0}]}]}, "parts are learnt"),
        ({"instruction": "Q?", "input": ["x"], "output": "A."}, "Its `input` is no text"),
        ({"instruction": "Q?", "output": False}, "Its `output` is no text"),
        ({"instruction": ["Q?"], "chosen": "A.", "rejected": "B."}, "Its `instruction` is no text"),
        ({"instruction": "Q?", "output": "A.", "history": '[["a", "b"]]'}, "history"),
        ({"instruction": "Q?", "output": "A.", "history": [["a", ["b"]]]}, "history"),
    ],
)
def test_rows_that_cannot_be_learnt_say_why_in_the_words_of_their_format(record: dict[str, Any], words: str) -> None:
    _, content = read_conversations(json.dumps(record).encode())
    assert content.conversations == []
    (problem,) = content.problems
    assert words in problem.message
    assert "preferred_output" not in problem.message


@pytest.mark.parametrize("mark", [{"label": False}, {"kto_tag": False}])
@pytest.mark.parametrize(
    "row",
    [
        {"conversations": TURNS},
        {"instruction": "Q?", "output": "A."},
        {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]},
        {"question": "Q?", "answer": "A."},
    ],
)
def test_rows_of_any_format_that_are_marked_as_bad_are_left_out_and_counted(
    row: dict[str, Any], mark: dict[str, bool]
) -> None:
    good = {**row, "label": True, **dict.fromkeys(mark, True)}
    _, content = read_conversations(json.dumps([{**good, **mark}, good, {**row, "label": 0}]).encode())
    assert [one.number for one in content.conversations] == [2, 3], "a class of something is no mark"
    assert (content.problems, list(content.omitted.values())) == ([], [1])


@pytest.mark.parametrize("header", ["prompt,completion,label", "question,answer,kto_tag", "instruction,output,Label"])
def test_rows_of_a_table_that_are_marked_as_bad_are_left_out_and_counted(header: str) -> None:
    table = f"{header}\nQ?,Bad.,False\nQ?,Good.,True\nQ?,Bad.,false\n"
    _, content = read_conversations(table.encode())
    assert [one.replies for one in content.conversations] == [["Good."]]
    assert (content.problems, list(content.omitted.values())) == ([], [2])


def test_a_label_of_a_row_per_message_says_nothing_of_the_reply() -> None:
    _, content = read_conversations(b"id,role,text,label\n1,user,Q?,false\n1,agent,A.,false\n")
    assert ([one.replies for one in content.conversations], content.omitted) == ([["A."]], {})


@pytest.mark.parametrize(
    "record",
    [{"instruction": "Q?", "output": "A."}, {"prompt": "Q?", "completion": "A."}, {"prompt": "Q?", "chosen": "A."}],
)
def test_a_row_says_its_thread_under_the_names_of_a_tables_column(record: dict[str, str]) -> None:
    rows = [{**record, "rejected": "B.", "id": number, "ticket_id": "T-7"} for number in (1, 2)]
    _, content = read_conversations(json.dumps(rows).encode())
    assert [one.id for one in content.conversations] == ["T-7", "T-7"]


def test_messages_that_say_which_of_them_are_learnt_are_read_so() -> None:
    turns = [("user", "One?"), ("assistant", "Bad."), ("user", "Two?"), ("assistant", "Good.")]
    rows = [{**turn, "train": text == "Good."} for turn, (_, text) in zip(messages(turns), turns, strict=True)]
    assert read([{"messages": rows}]) == ("sharegpt", [(turns, ["Good."], None)])


def test_the_history_of_a_preference_is_its_first_turns_and_what_is_blank_in_one_is_none() -> None:
    record = {"instruction": "Q?", "history": [["a", "b"], ["c", None]]}
    before = [("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "Q?")]
    assert read([{**record, "chosen": "A.", "rejected": "B."}]) == (
        *("preferences", [([*before, ("assistant", "A.")], ["A."], "B.")]),
    )
    assert read([{**record, "output": "A."}]) == ("alpaca", [([*before, ("assistant", "A.")], ["b", "A."], None)])


@pytest.mark.parametrize("name", ["system", "system_prompt"])
def test_a_system_text_that_the_turns_have_too_is_read_once(name: str) -> None:
    turns = [("system", "Be kind."), ("user", "Q?"), ("assistant", "A.")]
    row, more = messages(turns, "from", "value", user="human", assistant="gpt"), {name: "Be kind.\n"}
    assert read([{"conversations": row, **more}]) == ("sharegpt", [(turns, ["A."], None)])
    prompt = {"prompt": messages(turns[:2]), **more}
    assert read([{**prompt, "completion": messages(turns[2:])}]) == ("completions", [(turns, ["A."], None)])
    assert read([{**prompt, "chosen": "A.", "rejected": "B."}]) == ("preferences", [(turns, ["A."], "B.")])


def test_no_tools_beside_turns_are_none() -> None:
    rows = [{"conversations": TURNS, "tools": tools} for tools in ("[]", "{ }", "", "null", None, [], False)]
    assert len(read(rows)[1]) == len(rows)


def read_columns(monkeypatch: pytest.MonkeyPatch, rows: Sequence[dict[str, Any]]) -> Any:
    class Table:
        @staticmethod
        def to_pylist() -> Sequence[dict[str, Any]]:
            return rows

    class Pyarrow:
        @staticmethod
        def read_table(_file: object) -> Table:
            return Table()

    monkeypatch.setattr(columns, "_load_pyarrow", Pyarrow)
    return read_conversations(b"PAR1")[1]


def test_members_that_other_rows_of_a_parquet_file_have_are_null_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"type": "text", "text": "Q?", "image_url": None}
    turns = [
        {"role": "user", "content": [part], "thinking": None},
        {"role": "assistant", "content": "A.", "thinking": None},
    ]
    content = read_columns(monkeypatch, [{"messages": turns}])
    assert (content.problems, [one.replies for one in content.conversations]) == ([], [["A."]])


def test_ids_of_any_type_keep_a_parquet_file_s_conversations_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"conversation": date(2026, 1, day), "role": role, "text": f"{role} {day}", "system": math.nan}
        for day in (1, 2)
        for role in ("user", "agent")
    ]
    content = read_columns(monkeypatch, rows)
    assert [(one.id, one.replies) for one in content.conversations] == [
        *((f"2026-01-0{day}", [f"agent {day}"]) for day in (1, 2)),
    ]
    pairs = [
        {"question": "Q?", "answer": ["A."], "system": None},
        {"question": "Q?", "answer": "A.", "system": math.nan},
    ]
    content = read_columns(monkeypatch, pairs)
    assert [len(one.messages) for one in content.conversations] == [2], "no number is no system text"
    assert [(problem.row, problem.message) for problem in content.problems] == [(1, "Its 'answer' is no text.")]


def test_bare_texts_are_refused_with_what_to_do() -> None:
    with pytest.raises(UnusableFile, match=r"which part of a text is a reply.*prompt.*braid docs add"):
        read_conversations(b'{"text": "Once upon a time."}\n{"text": "The end."}\n')


def test_columns_of_parquet_are_read_as_the_members_of_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"chosen": "Yes.", "rejected": "Yo.", "system": None}
    content = read_columns(monkeypatch, [{"prompt": [{"role": "user", "content": "Q?", "name": None}], **row}])
    assert [(one.replies, one.rejected) for one in content.conversations] == [(["Yes."], "Yo.")]


@pytest.mark.parametrize(("bad", "hint"), [(2, True), (1, False)])
def test_an_upload_of_another_programs_rows_names_the_command_that_converts_them(
    tmp_path: Path, bad: int, hint: bool
) -> None:
    good = {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]}
    rows = [{"prompt": "Q?", "completion": "A."}] * bad + [good] * (2 - bad)
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(BadRequest) as refusal:
        check_training_file(file)
    assert ("'braid styles convert'" in str(refusal.value)) == hint
