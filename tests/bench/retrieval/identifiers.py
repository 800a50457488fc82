"""Identifiers: SQLite's result codes and Perl's functions, by their names and numbers."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tests.bench.retrieval.markup import read_html, read_pod
from tests.bench.retrieval.models import Document, LabelledSet, Question, choose
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["make_identifiers"]

_CODE_QUESTIONS = (
    "What does {name} mean?",
    "When is result code {number} returned?",
    "My program stops with error {number}. What is wrong?",
    "{name}",
    "What can I do about {name}?",
)
_FUNCTION_QUESTIONS = (
    "What does {name} return?",
    "{name}",
    "How is {name} called in Perl?",
    "What happens if {name} fails?",
    "What is {name} for?",
)


def make_identifiers() -> LabelledSet:
    documents: list[Document] = []
    questions: list[Question] = []
    for id, title, heading, text, question in (*_read_codes(), *_read_functions()):
        if any(document.id == id for document in documents):
            continue  # a function with two entries
        documents.append(Document(id, title, text, [heading]))
        questions.append(Question(f"q-{id}", question, [id]))
    return LabelledSet(documents, questions)


def _read_codes() -> Iterator[tuple[str, str, str, str, str]]:
    for file in list_files("doc/sqlite3/rescode.html"):
        parts = re.split(r"<h3>\((\d+)\) (SQLITE_\w+)</h3>", find_text(file))
        for number, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            question = choose(name, _CODE_QUESTIONS).format(name=name, number=number)
            yield f"rescode-{number}", "Result and Error Codes", f"({number}) {name}", read_html(body), question


def _read_functions() -> Iterator[tuple[str, str, str, str, str]]:
    for file in list_files("perl/*/pod/perlfunc.pod"):
        body = find_text(file).partition("=head2 Alphabetical Listing of Perl Functions")[2]
        entries = re.split(r"^=for Pod::Functions .*$", body, flags=re.MULTILINE)
        for before, entry in pairwise(entries):
            items = re.findall(r"^=item (\w+)(.*)$", before, flags=re.MULTILINE)
            if not items:
                continue
            name, rest = items[-1]
            first = next((one for one in items if one[0] == name), items[-1])
            text = read_pod(re.split(r"^=item \w", entry, flags=re.MULTILINE)[0])
            question = choose(f"perl {name}", _FUNCTION_QUESTIONS).format(name=name)
            if len(text) > 40:
                heading = read_pod(f"{name}{first[1] or rest}")
                yield f"perlfunc-{name}", "perlfunc - Perl builtin functions", heading, text, question
