"""Long questions over procedures: a paragraph of a handbook that sends its reader to another section, without the link.

The section that its authors linked is the answer. Such a paragraph tells a situation in many words, few of which are
its subject, as people do who ask for help.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.retrieval.markup import read_html
from tests.bench.retrieval.models import Document, LabelledSet, Question
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["make_procedures", "read_links"]

_BOOKS = ("debian-handbook", "harden-doc")
_LEAST_TEXT = 200
_LEAST_QUESTION, _MOST_QUESTION = 120, 700
_LINK = re.compile(r'<a [^>]*class="xref" href="([^"]+)"[^>]*>.*?</a>', re.DOTALL)
_PARAGRAPH = re.compile(r'<div class="para">((?:(?!<div\b).)*?)</div>|<p>(.*?)</p>', re.DOTALL)
_NUMBER = re.compile(r"^(?:Chapter\s+)?[\dA-Z]+(?:\.\d+)*\.\s+")


@dataclass(frozen=True, slots=True)
class _Section:
    id: str
    page: str
    title: str
    text: str
    anchors: frozenset[str]
    links: list[tuple[str, list[str]]]


def make_procedures() -> LabelledSet:
    """Take each paragraph that links to other sections of its book; every section is a document."""
    documents: list[Document] = []
    questions: list[Question] = []
    for book in _BOOKS:
        sections = [section for file in list_files(f"doc/{book}/html/en-US/*.html") for section in _split(book, file)]
        documents += [Document(one.id, book.replace("-", " "), one.text, [one.title]) for one in sections]
        for section in sections:
            for number, (text, targets) in enumerate(section.links):
                answers = {answer for target in targets if (answer := _find(sections, section, target))} - {section.id}
                if answers:
                    questions.append(Question(f"q-{section.id}-{number}", text, sorted(answers)))
    return LabelledSet(documents, questions)


def _split(book: str, file: Path) -> Iterator[_Section]:
    parts = re.split(r"<h[123] class=\"title\">(.*?)</h[123]>", find_text(file), flags=re.DOTALL)
    for number, (heading, body) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        text = read_html(body.partition('<ul class="docnav"')[0])
        anchors = frozenset(re.findall(r'id="([^"]+)"', heading + body))
        if len(text) >= _LEAST_TEXT:
            title = _NUMBER.sub("", " ".join(read_html(heading).split()))
            yield _Section(f"{book}-{file.stem}-{number}", file.name, title, text, anchors, list(read_links(body)))


def read_links(html: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the text of each paragraph with links, without them, and where they lead."""
    for match in _PARAGRAPH.finditer(html):
        paragraph = match[1] or match[2] or ""
        text = " ".join(read_html(_LINK.sub("", paragraph)).split())
        targets = _LINK.findall(paragraph)
        if targets and _LEAST_QUESTION <= len(text) <= _MOST_QUESTION:
            yield re.sub(r"\s*\((?:see|cf\.?)?\s*(?:also)?\s*\)", "", text), targets


def _find(sections: list[_Section], here: _Section, target: str) -> str | None:
    page, _, anchor = target.partition("#")
    on_page = [one for one in sections if one.page == (page or here.page)]
    return next((one.id for one in on_page if anchor in one.anchors), on_page[0].id if on_page and not anchor else None)
