"""Tables: pages of Python's library reference with a table each; a question is about one row of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.retrieval.markup import read_html
from tests.bench.retrieval.models import Document, LabelledSet, Question, choose
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["make_tables"]

_MOST_TABLES = 120
_QUESTIONS_PER_TABLE = 2
_BEFORE = 700  # characters of the section above its table
_QUESTIONS = (
    "What is the {column} of the {first} {cell}?",
    "{first} {cell}: {column}?",
    "Which {column} belongs to {cell}?",
)


@dataclass(frozen=True, slots=True)
class _Table:
    page: str
    heading: str
    before: str
    columns: list[str]
    rows: list[list[str]]


def make_tables() -> LabelledSet:
    documents: list[Document] = []
    questions: list[Question] = []
    asked: set[str] = set()
    for number, table in enumerate(_read_tables()):
        if number == _MOST_TABLES:
            break
        id = f"table-{number}"
        lines = [" | ".join(row) for row in (table.columns, *table.rows)]
        documents.append(Document(id, table.page, f"{table.before}\n\n" + "\n".join(lines), [table.heading]))
        rows = [
            row for row in table.rows if re.search(r"\w{2}|%\w", row[0]) and len(row[0]) < 60 and row[0] not in asked
        ]
        for row in sorted(rows, key=lambda row: choose(row[0], range(1000)))[:_QUESTIONS_PER_TABLE]:
            asked.add(row[0])
            words = {"column": table.columns[1].lower(), "first": table.columns[0].lower(), "cell": row[0]}
            text = choose(row[0], _QUESTIONS).format(**words)
            questions.append(Question(f"q-{id}-{len(questions)}", text, [id]))
    return LabelledSet(documents, questions)


def _read_tables() -> Iterator[_Table]:
    for file in list_files("doc/python3*/html/library/*.html"):
        text = find_text(file)
        title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        page = read_html(title[1]).split(" — Python")[0] if title else file.stem
        for section in re.split(r"<section id=", text)[1:]:
            heading = re.search(r"<h\d>(.*?)</h\d>", section, re.DOTALL)
            for match in re.finditer(r'<table class="docutils.*?</table>', section, re.DOTALL):
                table = _read_rows(match[0])
                if heading and table:
                    before = read_html(section[heading.end() : match.start()])[-_BEFORE:]
                    yield _Table(page, read_html(heading[1]), before, *table)


def _read_rows(table: str) -> tuple[list[str], list[list[str]]] | None:
    rows = [
        [" ".join(read_html(cell).split()) for cell in re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in re.findall(r"<tr\b.*?</tr>", table, re.DOTALL)
    ]
    columns, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0]) and row[0]]
    if "<thead>" not in table or len(columns) < 2 or not all(columns[:2]) or len(body) < 3:
        return None
    return columns, body
