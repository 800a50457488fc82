"""Labelled sets as folders in BEIR's form, with one file of judgements; halves are made by the questions' texts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.bench.retrieval.copies import make_copies
from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.identifiers import make_identifiers
from tests.bench.retrieval.manuals import make_manuals
from tests.bench.retrieval.models import Document, LabelledSet, Question
from tests.bench.retrieval.near_names import make_near_names
from tests.bench.retrieval.procedures import make_procedures
from tests.bench.retrieval.sources import CACHE
from tests.bench.retrieval.tables import make_tables
from tests.bench.retrieval.turns import make_turns
from tests.bench.retrieval.unanswered import make_unanswered

_CHARACTERS = 1500  # of a document: a few chunks

__all__ = ["SETS", "read_documents", "write_set"]

SETS: dict[str, Callable[[], LabelledSet]] = {
    "faq": read_faq,
    "identifiers": make_identifiers,
    "tables": make_tables,
    "manuals": make_manuals,
    "turns": make_turns,
    "near-names": make_near_names,
    "procedures": make_procedures,
    "unanswered": make_unanswered,
    "copies": make_copies,
}


def write_set(name: str) -> Path:
    """Make a set, unless it is there, and return its folder."""
    folder = CACHE / "sets" / name
    judgements = folder / "qrels" / "test.tsv"
    if judgements.exists():
        return folder
    made = SETS[name]()
    judgements.parent.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "corpus.jsonl", [_to_corpus_row(document) for document in made.documents])
    _write_rows(folder / "queries.jsonl", [_to_query_row(question) for question in made.questions])
    lines = ["query-id\tcorpus-id\tscore"]
    for question in made.questions:
        # A question without an answer is one whose every judgement is 0; "-" is the document that it doesn't have.
        lines += [f"{question.id}\t{document}\t1" for document in question.documents] or [f"{question.id}\t-\t0"]
    judgements.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def read_documents(folder: Path) -> list[Document]:
    rows = (msgspec.json.decode(line) for line in (folder / "corpus.jsonl").read_bytes().splitlines())
    return [Document(row["_id"], row["title"], row["text"], row["metadata"]["headings"]) for row in rows]


def _to_corpus_row(document: Document) -> dict[str, object]:
    metadata = {"headings": document.headings}
    return {"_id": document.id, "title": document.title, "text": document.text[:_CHARACTERS], "metadata": metadata}


def _to_query_row(question: Question) -> dict[str, object]:
    return {"_id": question.id, "text": question.text, "metadata": {"history": question.history}}


def _write_rows(file: Path, rows: Sequence[dict[str, object]]) -> None:
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
