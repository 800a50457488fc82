"""Labelled questions: the documents that answer each, from the files in which people keep them.

Read are JSONL and CSV with one question and document per row, a folder as BEIR publishes them (`queries.jsonl`,
`qrels/*.tsv`, perhaps `corpus.jsonl`), and TREC's topics with their qrels.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from gateway.counts import format_count

__all__ = ["BadLabels", "Half", "LabelledQuestion", "LineFault", "find_half", "merge_questions", "refuse_faults"]

Half = Literal["tune", "report"]

_MOST_LISTED = 10


class BadLabels(ValueError):
    """A file of labelled questions can't be used; the message names its lines and says what to do."""


class LabelledQuestion(Struct, frozen=True):
    """A question and what answers it.

    Attributes:
        documents: Grade of each document that was judged, by its name; one above 0 answers the question, and more the
            higher it is.
        answer: The right answer in words, or "".
        history: Earlier questions of the same conversation, oldest first.
    """

    id: str
    text: str
    documents: dict[str, int]
    answer: str = ""
    history: list[str] = []

    @property
    def answerable(self) -> bool:
        """Whether any document answers it; one that none does should be abstained from."""
        return any(grade > 0 for grade in self.documents.values())

    @property
    def half(self) -> Half:
        return find_half(self.text)


class LineFault(Struct, frozen=True):
    """A line that can't be used, numbered from 1, and the reason."""

    line: int
    reason: str


def find_half(text: str) -> Half:
    """Return the half that a question belongs to: by its text alone, so that no file and no order changes it."""
    digest = hashlib.sha256(" ".join(text.casefold().split()).encode()).digest()
    return "tune" if digest[0] % 2 else "report"


def merge_questions(questions: Iterable[LabelledQuestion]) -> list[LabelledQuestion]:
    """Join rows of the same question, which has a row per document; the first row's place and answer stay."""
    merged: dict[str, LabelledQuestion] = {}
    for question in questions:
        first = merged.get(question.id)
        if first is None:
            merged[question.id] = question
            continue
        documents = {**first.documents, **question.documents}
        answer = first.answer or question.answer
        merged[question.id] = LabelledQuestion(first.id, first.text, documents, answer, first.history)
    return list(merged.values())


def refuse_faults(name: str, faults: Sequence[LineFault], advice: str) -> None:
    """Raise the faults of a file's lines as one error.

    Raises:
        BadLabels: There are any.
    """
    if not faults:
        return
    lines = "; ".join(f"line {fault.line}: {fault.reason}" for fault in faults[:_MOST_LISTED])
    more = f"; and {len(faults) - _MOST_LISTED} more" if len(faults) > _MOST_LISTED else ""
    raise BadLabels(f"{name} has {format_count(len(faults), 'line')} that can't be used: {lines}{more}. {advice}")
