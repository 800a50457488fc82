"""Labelled questions in the forms of test collections: BEIR's folders, and TREC's topics and qrels."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.counts import format_count
from gateway.evaluation.label_rows import decode_text, read_rows
from gateway.evaluation.labels import BadLabels, LabelledQuestion, LineFault, refuse_faults
from training.repeated_names import find_repeated_name

__all__ = ["CorpusDocument", "read_corpus", "read_lone_questions", "read_questions"]

_TOPIC = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*(.*?)\s*(?=<|\Z)", re.DOTALL | re.IGNORECASE)
_QRELS_ADVICE = "A line of qrels is: question, document, grade (TREC: question, 0, document, grade)."


class CorpusDocument(msgspec.Struct, frozen=True):
    """A document of a test collection."""

    id: str
    title: str
    text: str


def read_questions(path: Path, qrels: Path | None = None) -> list[LabelledQuestion]:
    """Read labelled questions from a file or a folder.

    Args:
        path: A JSONL, CSV or TSV file of questions and documents; a folder of BEIR's, with `queries.jsonl`; or with
            `qrels`, a file of TREC's topics or a `queries.jsonl`.
        qrels: The judgements. In a BEIR folder `qrels/test.tsv` is read without it, or the only one there.

    Questions are those that the qrels judge. One whose grades are all 0 has no answer.

    Raises:
        BadLabels: Something in the files can't be used, or is missing.
    """
    if path.is_dir():
        return _join(path / "queries.jsonl", qrels or _find_qrels(path))
    if qrels is not None:
        return _join(path, qrels)
    return read_rows(_read(path), path.name)


def read_lone_questions(path: Path, qrels: Path | None = None) -> list[LabelledQuestion]:
    """Read questions as `read_questions` does, for a search that knows no conversation.

    Raises:
        BadLabels: As there; or some have a history, without which they would be measured as what nobody asks.
    """
    questions = read_questions(path, qrels)
    if later := [one for one in questions if one.history]:
        raise BadLabels(
            f"{path.name} has {format_count(len(later), 'question')} with a history, such as {later[0].text[:80]!r}. A "
            "store is searched for one question at a time: it's an assistant that rewrites follow-ups. Write each as a "
            "question that stands alone, or leave the history out to measure them as they are."
        )
    return questions


def read_corpus(folder: Path) -> Iterator[CorpusDocument]:
    """Yield the documents of a BEIR folder's `corpus.jsonl`.

    Raises:
        BadLabels: There is none, or a line isn't a document.
    """
    file = folder / "corpus.jsonl"
    faults: list[LineFault] = []
    for line, row in _read_json_lines(file, faults):
        if not isinstance(row.get("_id"), str) or not isinstance(row.get("text"), str):
            faults.append(LineFault(line, "it has no _id or no text"))
            continue
        yield CorpusDocument(row["_id"], str(row.get("title") or ""), row["text"])
    refuse_faults(file.name, faults, "A line is an object with _id, text and perhaps title.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadLabels(f"{file} can't be read: {error.strerror}.") from None


def _find_qrels(folder: Path) -> Path:
    files = sorted((folder / "qrels").glob("*.tsv"))
    by_name = {file.stem: file for file in files}
    if "test" in by_name:
        return by_name["test"]
    if len(files) == 1:
        return files[0]
    there = ", ".join(by_name) or "none"
    raise BadLabels(f"{folder} has no qrels/test.tsv; its qrels are: {there}. Name the file with --qrels.")


def _join(topics: Path, qrels: Path) -> list[LabelledQuestion]:
    texts = _read_queries(topics) if topics.suffix == ".jsonl" else _read_topics(topics)
    grades = _read_qrels(qrels)
    if missing := [id for id in grades if id not in texts]:
        raise BadLabels(
            f"{qrels.name} judges {format_count(len(missing), 'question')} that {topics.name} doesn't have, such as "
            f"{missing[0]!r}. Are they of the same collection?"
        )
    return [
        LabelledQuestion(
            id, texts[id][0], {name: grade for name, grade in query_grades.items() if name != "-"}, "", texts[id][1]
        )
        for id, query_grades in grades.items()
    ]


def _read_queries(file: Path) -> dict[str, tuple[str, list[str]]]:
    """Return the text and the history of each query of a `queries.jsonl`."""
    faults: list[LineFault] = []
    queries: dict[str, tuple[str, list[str]]] = {}
    for line, row in _read_json_lines(file, faults):
        id, text = row.get("_id"), row.get("text")
        metadata: dict[str, Any] = row.get("metadata") or {}
        if not isinstance(id, str) or not isinstance(text, str) or not text.strip():
            faults.append(LineFault(line, "it has no _id or no text"))
        else:
            queries[id] = text.strip(), list(metadata.get("history") or [])
    refuse_faults(file.name, faults, "A line is an object with _id and text.")
    return queries


def _read_json_lines(file: Path, faults: list[LineFault]) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in enumerate(decode_text(_read(file), file.name).split("\n"), 1):
        if not row.strip():
            continue
        try:
            value = msgspec.json.decode(row, type=dict[str, Any])
        except msgspec.DecodeError as error:
            faults.append(LineFault(line, f"it is no JSON object ({error})"))
            continue
        if name := find_repeated_name(row):
            faults.append(LineFault(line, f"it says {name[:80]!r} twice in one object"))
        else:
            yield line, value


def _read_topics(file: Path) -> dict[str, tuple[str, list[str]]]:
    """Return the title of each topic, from TREC's tags or from lines of number, tab and text."""
    text = decode_text(_read(file), file.name)
    topics: dict[str, tuple[str, list[str]]] = {}
    faults: list[LineFault] = []
    if not _TOPIC.search(text):
        for line, row in enumerate(text.split("\n"), 1):
            id, tab, question = row.partition("\t")
            if tab and id.strip() and question.strip():
                topics[id.strip()] = question.strip(), []
            elif row.strip():
                faults.append(LineFault(line, "it has no number, tab and text"))
    for match in _TOPIC.finditer(text):
        number, title = _NUMBER.search(match[1]), _TITLE.search(match[1])
        if number and title and title[1].strip():
            topics[number[1]] = " ".join(title[1].split()), []
        else:
            faults.append(LineFault(text.count("\n", 0, match.start()) + 1, "the topic has no <num> or no <title>"))
    refuse_faults(file.name, faults, "Topics are <top> with <num> and <title>, or lines of number, tab and text.")
    return topics


def _read_qrels(file: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    faults: list[LineFault] = []
    for line, row in enumerate(decode_text(_read(file), file.name).split("\n"), 1):
        if not row.strip() or (line == 1 and _is_header(row)):
            continue
        cells = row.split("\t") if "\t" in row else row.split()
        judgement = _to_judgement(cells)
        if judgement is None:
            faults.append(LineFault(line, f"{row.strip()[:60]!r} is no judgement"))
        else:
            question, document, grade = judgement
            grades.setdefault(question, {})[document] = grade
    refuse_faults(file.name, faults, _QRELS_ADVICE)
    if not grades:
        raise BadLabels(f"{file.name} has no judgements. {_QRELS_ADVICE}")
    return grades


def _is_header(row: str) -> bool:
    return row.lower().replace("_", "-").startswith(("query-id", "qid", "topic"))


def _to_judgement(cells: Sequence[str]) -> tuple[str, str, int] | None:
    """Return question, document and grade of BEIR's three columns or TREC's four."""
    if len(cells) == 4:
        cells = (cells[0], *cells[2:])
    if len(cells) != 3:
        return None
    question, document, grade = (cell.strip() for cell in cells)
    if not question or not document or not re.fullmatch(r"[+-]?\d+", grade):
        return None
    return question, document, int(grade)
