"""Labelled questions as rows of JSONL or CSV, for people who write their own."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, cast

import msgspec

from gateway.evaluation.labels import BadLabels, LabelledQuestion, LineFault, merge_questions, refuse_faults
from training.repeated_names import find_repeated_name

__all__ = ["decode_text", "read_rows"]

_QUESTION = ("question", "query", "text")
_DOCUMENT = ("document", "documents", "key", "file")
_ADVICE = (
    "Each row needs a question, and the document that answers it; leave the document empty where none does. "
    "Mend or remove those rows."
)


def decode_text(data: bytes, name: str) -> str:
    """Decode a file of labels.

    Raises:
        BadLabels: It isn't UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadLabels(f"{name} isn't UTF-8: line {line} has a byte that it can't have. Save it as UTF-8.") from None


def read_rows(data: bytes, name: str) -> list[LabelledQuestion]:
    """Read questions from a JSONL, CSV or TSV file, which its name's ending tells apart.

    A row has a `question`, the `document` that answers it (JSONL: also a list), perhaps an `answer` and an `id`. Rows
    of the same id, or without ids of the same question, are one question with several documents; one whose document is
    empty has no answer.

    Raises:
        BadLabels: Rows can't be used, by their lines' numbers, or there are none.
    """
    text = decode_text(data, name)
    ending = PurePath(name).suffix.lower()
    faults: list[LineFault] = []
    if ending in (".jsonl", ".ndjson"):
        rows = _read_jsonl(text, faults)
    elif ending in (".csv", ".tsv"):
        rows = _read_csv(text, name, "\t" if ending == ".tsv" else ",", faults)
    else:
        raise BadLabels(
            f"{name} is neither .jsonl nor .csv nor .tsv. Name the file by its format, or give a folder as BEIR has it."
        )
    questions: list[LabelledQuestion] = []
    texts: dict[str, str] = {}
    for line, row in rows:
        question = _to_question(row)
        if isinstance(question, str):
            faults.append(LineFault(line, question))
        elif texts.setdefault(question.id, question.text) != question.text:
            faults.append(LineFault(line, f"its id {question.id!r} is that of another question"))
        else:
            questions.append(question)
    refuse_faults(name, sorted(faults, key=lambda fault: fault.line), _ADVICE)
    if not questions:
        raise BadLabels(f"{name} has no questions. {_ADVICE}")
    return merge_questions(questions)


def _read_jsonl(text: str, faults: list[LineFault]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            value = msgspec.json.decode(row)
        except msgspec.DecodeError as error:
            faults.append(LineFault(line, f"it is no JSON ({error})"))
            continue
        if not isinstance(value, dict):
            faults.append(LineFault(line, "it is no JSON object"))
        elif name := find_repeated_name(row):
            faults.append(LineFault(line, f"it says {name[:80]!r} twice in one object"))
        else:
            yield line, value  # pyright: ignore[reportUnknownVariableType]


def _read_csv(text: str, name: str, delimiter: str, faults: list[LineFault]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [column.strip().lower() for column in reader.fieldnames or ()]
        if not _first_of(columns, _QUESTION) or not _first_of(columns, _DOCUMENT):
            raise BadLabels(
                f"{name} has no columns called question and document: its first line is {','.join(columns)[:200]!r}. "
                "Give the columns' names in the first line."
            )
        reader.fieldnames = columns
        line = reader.line_num + 1
        for row in reader:
            if None in row:
                faults.append(LineFault(line, f"it has more than {len(columns)} columns"))
            else:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(LineFault(reader.line_num, str(error)))


def _first_of(names: list[str], choices: tuple[str, ...]) -> str | None:
    return next((name for name in choices if name in names), None)


def _to_question(row: Mapping[str, Any]) -> LabelledQuestion | str:
    """Return a row's question, or what is wrong with it."""
    text = next((row[name] for name in _QUESTION if row.get(name)), "")
    if not isinstance(text, str) or not text.strip():
        return "it has no question"
    value: Any = next((row[name] for name in _DOCUMENT if row.get(name)), None)
    names = cast(list[Any], value) if isinstance(value, list) else [value]
    if any(name is not None and not isinstance(name, str | int) for name in names):
        return "its document is neither a name nor a list of names"
    answer: Any = row.get("answer") or ""
    if not isinstance(answer, str):
        return "its answer is no text"
    history: Any = row.get("history") or []
    if not isinstance(history, list) or not all(isinstance(turn, str) for turn in cast(list[Any], history)):
        return "its history is no list of texts"
    grades = {str(name).strip(): 1 for name in names if name is not None and str(name).strip()}
    text = " ".join(text.split())
    return LabelledQuestion(str(row.get("id") or text), text, grades, answer, cast(list[str], history))
