"""FAQs of Perl, Python, Debian and SQLite: the question is the heading, and its answer the document without it."""

import html
import re
from collections.abc import Iterator
from functools import cache

from tests.bench.retrieval.markup import read_html, read_pod, read_rst
from tests.bench.retrieval.models import Document, LabelledSet, Question
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["read_faq"]

_LEAST_ANSWER = 40


@cache
def read_faq() -> LabelledSet:
    documents: list[Document] = []
    questions: list[Question] = []
    for source in (_read_perl, _read_python, _read_debian, _read_sqlite):
        for number, (page, title, question, answer) in enumerate(source(), 1):
            if len(answer) < _LEAST_ANSWER:
                continue
            id = f"{page}-{number}"
            documents.append(Document(id, title, answer))
            questions.append(Question(f"q-{id}", " ".join(question.split()), [id]))
    return LabelledSet(documents, questions)


def _read_perl() -> Iterator[tuple[str, str, str, str]]:
    for file in list_files("perl/*/pod/perlfaq[1-9].pod"):
        text = find_text(file)
        name = re.search(r"=head1 NAME\s+(.*?)\n\n", text, re.DOTALL)
        title = read_pod(name[1]) if name else file.stem
        for part in re.split(r"^=head2 ", text, flags=re.MULTILINE)[1:]:
            heading, _, body = part.partition("\n\n")
            body = re.split(r"^=head1 ", body, flags=re.MULTILINE)[0]
            yield file.stem, title, read_pod(heading), read_pod(body)


def _read_python() -> Iterator[tuple[str, str, str, str]]:
    for file in list_files("doc/python3*/html/_sources/faq/*.rst.txt"):
        text = find_text(file)
        page = file.name.removesuffix(".rst.txt")
        title = re.search(r"^([^\n.:]*FAQ[^\n]*)$", text, re.MULTILINE)
        parts = re.split(r"^([^\n]+)\n(?:-{4,}|={4,}|\^{4,})\n", text, flags=re.MULTILINE)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            if heading.strip().endswith("?"):
                yield f"python-{page}", title[1] if title else page, read_rst(heading), read_rst(body)


def _read_debian() -> Iterator[tuple[str, str, str, str]]:
    for file in list_files("doc/debian/FAQ/*.en.html"):
        text = find_text(file)
        title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        parts = re.split(r'<h[23] class="title"[^>]*>(.*?)</h[23]>', text, flags=re.DOTALL)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            question = re.sub(r"^[\d.\s]+", "", read_html(heading))
            if question.endswith("?"):
                body = re.split(r'<div class="navfooter">', body)[0]
                page = file.name.removesuffix(".en.html")
                yield f"debian-{page}", html.unescape(title[1]) if title else page, question, read_html(body)


def _read_sqlite() -> Iterator[tuple[str, str, str, str]]:
    for file in list_files("doc/sqlite3/faq.html"):
        parts = re.split(r'<a name="q\d+"></a>\s*<p><b>\(\d+\)\s*(.*?)</b></p>', find_text(file), flags=re.DOTALL)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            yield "sqlite", "SQLite Frequently Asked Questions", read_html(heading), read_html(body)
