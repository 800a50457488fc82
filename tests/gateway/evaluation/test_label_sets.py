from pathlib import Path

import pytest

from gateway.evaluation.label_sets import CorpusDocument, read_corpus, read_lone_questions, read_questions
from gateway.evaluation.labels import BadLabels, LabelledQuestion

QUERIES = '{"_id": "q1", "text": "How long?"}\n{"_id": "q2", "text": "How loud?", "metadata": {"history": ["K2?"]}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(QUERIES)
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td 1\t2\nq1\td2\t0\nq2\t-\t0\n")
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td2\t1\n")
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "K2", "text": "Two years."}\n')
    return tmp_path


def test_a_folder_of_beir_is_read_with_its_grades_and_its_splits(folder: Path) -> None:
    assert read_questions(folder) == [
        LabelledQuestion("q1", "How long?", {"d 1": 2, "d2": 0}),
        LabelledQuestion("q2", "How loud?", {}, "", ["K2?"]),
    ]
    assert not read_questions(folder)[1].answerable
    only = read_questions(folder, folder / "qrels" / "dev.tsv")
    assert only == [LabelledQuestion("q2", "How loud?", {"d2": 1}, "", ["K2?"])]
    assert list(read_corpus(folder)) == [CorpusDocument("d1", "K2", "Two years.")]


def test_questions_of_a_conversation_are_refused_where_none_is_searched_with(folder: Path) -> None:
    with pytest.raises(BadLabels, match=r"queries\.jsonl has 1 question with a history, such as 'How loud\?'"):
        read_lone_questions(folder / "queries.jsonl", folder / "qrels" / "test.tsv")
    rows = folder / "rows.jsonl"
    rows.write_text('{"question": "And what does it cost?", "history": ["What is the K2?"], "document": "k2.md"}\n')
    with pytest.raises(BadLabels, match=r"rows\.jsonl has 1 question with a history.*Write each as a question that"):
        read_lone_questions(rows)
    rows.write_text('{"question": "What does it cost?", "history": [], "document": "k2.md"}\n')
    assert read_lone_questions(rows) == read_questions(rows)


def test_a_folder_without_test_judgements_asks_which(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "train.tsv")
    with pytest.raises(BadLabels, match=r"its qrels are: dev, train\. Name the file with --qrels"):
        read_questions(folder)


def test_bad_lines_of_a_folder_are_named(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\nq1\td1\nq2\td2\tyes\n")
    with pytest.raises(BadLabels, match=r"test\.tsv has 2 lines that can't be used: line 2: 'q1\\td1'.*line 3"):
        read_questions(folder)
    (folder / "qrels" / "test.tsv").write_text("q9\td1\t1\n")
    with pytest.raises(BadLabels, match=r"judges 1 question that queries\.jsonl doesn't have, such as 'q9'"):
        read_questions(folder)
    (folder / "queries.jsonl").write_text('{"_id": "q1"}\nx\n{"_id": "q1", "text": "a", "text": "b"}')
    with pytest.raises(BadLabels, match=r"queries\.jsonl has 3 lines.*line 1: it has no _id or no text.*'text' twice"):
        read_questions(folder)
    (folder / "corpus.jsonl").write_text("{}\n")
    with pytest.raises(BadLabels, match=r"corpus\.jsonl has 1 line "):
        list(read_corpus(folder))
    (folder / "queries.jsonl").unlink()
    with pytest.raises(BadLabels, match="can't be read: No such file"):
        read_questions(folder)


TOPICS = """<top>
<num> Number: 301
<title> International
Organized Crime

<desc> Description:
Identify organizations.
</top>
<top>
<num> Number: 302 </num>
<title> Polio </title>
</top>
"""


def test_topics_of_trec_are_read_with_their_qrels(tmp_path: Path) -> None:
    topics, qrels = tmp_path / "topics.txt", tmp_path / "qrels.txt"
    topics.write_text(TOPICS)
    qrels.write_text("301 0 FBIS3-1 1\n301 0 FBIS3-2 0\n302 0 FT-9 2\n")
    expected = [
        LabelledQuestion("301", "International Organized Crime", {"FBIS3-1": 1, "FBIS3-2": 0}),
        LabelledQuestion("302", "Polio", {"FT-9": 2}),
    ]
    assert read_questions(topics, qrels) == expected
    topics.write_text("301\tInternational Organized Crime\n302\tPolio\n")
    assert read_questions(topics, qrels) == expected
    topics.write_text("301\tInternational Organized Crime\n302 Polio\n")
    with pytest.raises(BadLabels, match=r"topics\.txt has 1 line that can't be used: line 2"):
        read_questions(topics, qrels)
    topics.write_text(TOPICS.replace("<title> Polio </title>", ""))
    with pytest.raises(BadLabels, match="line 9: the topic has no <num> or no <title>"):
        read_questions(topics, qrels)
    topics.write_text(TOPICS)
    qrels.write_text("\n")
    with pytest.raises(BadLabels, match="has no judgements"):
        read_questions(topics, qrels)


@pytest.mark.parametrize(
    "header", ["query-id\tcorpus-id\tscore", "Query_ID\tCorpus_ID\tScore", "qid 0 docid grade", "TOPIC\t0\tdoc\tgrade"]
)
def test_a_first_line_of_names_and_blank_lines_are_no_judgements(folder: Path, header: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(f"{header}\nq1\td1\t1\n  \n\nq2\td2\t0\n")
    (folder / "queries.jsonl").write_text(QUERIES.replace("\n", "\n \n"))
    assert [question.documents for question in read_questions(folder)] == [{"d1": 1}, {"d2": 0}]
    (folder / "qrels" / "test.tsv").write_text(f"q1\td1\t1\n{header}\n")
    with pytest.raises(BadLabels, match="line 2"):
        read_questions(folder)
