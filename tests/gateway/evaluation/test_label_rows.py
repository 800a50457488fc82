import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.label_rows import read_rows
from gateway.evaluation.labels import BadLabels, LabelledQuestion


def test_jsonl_rows_have_one_document_or_several_or_none() -> None:
    rows = [
        {"question": "How long?", "document": "k2.md", "answer": "24 months"},
        {"id": 7, "question": "How loud?", "documents": ["k2.md", "k3.md"]},
        {"question": "Who wrote it?", "document": ""},
        {"query": "Is it red?", "documents": [], "history": ["What is the K2?"]},
    ]
    data = "\n\n".join(map(json.dumps, rows)).encode()
    assert read_rows(data, "questions.jsonl") == [
        LabelledQuestion("How long?", "How long?", {"k2.md": 1}, "24 months"),
        LabelledQuestion("7", "How loud?", {"k2.md": 1, "k3.md": 1}),
        LabelledQuestion("Who wrote it?", "Who wrote it?", {}),
        LabelledQuestion("Is it red?", "Is it red?", {}, "", ["What is the K2?"]),
    ]
    assert [question.answerable for question in read_rows(data, "q.jsonl")] == [True, True, False, False]


def test_csv_rows_of_one_question_are_joined_and_a_byte_order_mark_is_no_name() -> None:
    data = '﻿Question,Document,Answer\r\nHow long?,a.md,\r\nHow  long?,b.md,24\r\n"Two\nlines?",c.md,\r\n'.encode()
    assert read_rows(data, "q.csv") == [
        LabelledQuestion("How long?", "How long?", {"a.md": 1, "b.md": 1}, "24"),
        LabelledQuestion("Two lines?", "Two lines?", {"c.md": 1}),
    ]


def test_bad_rows_are_named_by_their_lines_and_all_of_them() -> None:
    rows = ['{"question": "How long?", "document": "a"}', "{", '{"document": "b"}', "[1]", '{"question": 3}', ""]
    rows += ['{"question": "x", "document": {"a": 1}}', '{"question": "x", "answer": 5}']
    rows += ['{"question": "x", "document": "a", "document": "b"}']
    with pytest.raises(BadLabels, match=r"q\.jsonl has 7 lines that can't be used: line 2: it is no JSON") as caught:
        read_rows("\n".join(rows).encode(), "q.jsonl")
    for reason in (
        "line 3: it has no question",
        "line 4: it is no JSON object",
        "line 7: its document",
        "line 8: its",
        "line 9: it says",
    ):
        assert reason in str(caught.value)


def test_one_id_cannot_be_that_of_two_questions() -> None:
    data = b'{"id": "1", "question": "How long?"}\n{"id": "1", "question": "How loud?"}'
    with pytest.raises(BadLabels, match="line 2: its id '1' is that of another question"):
        read_rows(data, "q.jsonl")


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"a,b\n1,2\n", "q.csv", "no columns called question and document"),
        (b"question,document\nHow long?,a,b\n", "q.csv", "line 2: it has more than 2 columns"),
        (b'question,document\n"How long?,a\n', "q.csv", "unexpected end of data"),
        (b"question,document\nHow\xff?,a\n", "q.csv", "isn't UTF-8: line 2"),
        (b"question,document\n", "q.csv", "has no questions"),
        (b"", "q.jsonl", "has no questions"),
        (b"{}", "q.xlsx", "is neither .jsonl nor .csv"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(BadLabels, match=reason):
        read_rows(data, name)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=20).map(
    lambda text: f"q{text}q"
)


@given(st.dictionaries(TEXTS.map(lambda text: " ".join(text.split())), TEXTS, min_size=1, max_size=5))
def test_what_is_written_as_csv_or_jsonl_is_read_again(documents: dict[str, str]) -> None:
    expected = [LabelledQuestion(question, question, {name.strip(): 1}) for question, name in documents.items()]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerows([("question", "document"), *documents.items()])
    assert read_rows(table.getvalue().encode(), "q.csv") == expected
    lines = [json.dumps({"question": question, "document": name}) for question, name in documents.items()]
    assert read_rows("\n".join(lines).encode(), "q.jsonl") == expected


@given(st.binary(max_size=200), st.sampled_from(["q.csv", "q.jsonl", "q.tsv"]))
def test_any_bytes_are_read_or_refused_with_a_reason(data: bytes, name: str) -> None:
    questions, reason = None, ""
    try:
        questions = read_rows(data, name)
    except BadLabels as error:
        reason = str(error)
    assert bool(questions) != bool(reason)
    assert all(question.text for question in questions or ())


@pytest.mark.parametrize("header", ["question,answer", "document,answer", "a,b", ""])
def test_a_table_needs_a_column_of_questions_and_one_of_documents(header: str) -> None:
    with pytest.raises(BadLabels, match="no columns called question and document"):
        read_rows(f"{header}\nHow long?,k2.md\n".encode(), "labels.csv")
    assert read_rows(b"QUERY , File\nHow long?,k2.md\n", "labels.csv") == [
        LabelledQuestion("How long?", "How long?", {"k2.md": 1})
    ]
