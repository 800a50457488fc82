"""Copies: the FAQs, those of Python twice, as its documentation ships them: as reStructuredText and as web pages."""

import re
from collections.abc import Iterator

from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.markup import read_html
from tests.bench.retrieval.models import Document, LabelledSet, Question
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["make_copies", "split_sections"]


def make_copies() -> LabelledSet:
    """Add each entry's page to its source; a question is answered by both."""
    faq = read_faq()
    entries = {_fold(question.text): question for question in faq.questions if question.id.startswith("q-python-")}
    titles = {document.id: document.title for document in faq.documents}
    documents = list(faq.documents)
    copies: dict[str, str] = {}
    for file in list_files("doc/python3*/html/faq/*.html"):
        for heading, text in split_sections(find_text(file)):
            entry = entries.get(_fold(heading))
            if entry is not None and entry.id not in copies and len(text) > 40:
                (original,) = entry.documents
                copies[entry.id] = f"page-{original}"
                documents.append(Document(copies[entry.id], titles[original], text))
    questions = [
        Question(one.id, one.text, [*one.documents, *([copies[one.id]] if one.id in copies else [])])
        for one in faq.questions
    ]
    return LabelledSet(documents, questions)


def split_sections(html: str) -> Iterator[tuple[str, str]]:
    """Yield the headings of a page of Sphinx, each with the text below it."""
    main = re.split(r'<div class="clearer">|<div class="sphinxsidebar"', html)[0]
    parts = re.split(r"<h[23]>(.*?)</h[23]>", main, flags=re.DOTALL)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        yield read_html(re.sub(r'<a class="(?:headerlink|toc-backref)".*?</a>', _unlink, heading)), read_html(body)


def _unlink(link: re.Match[str]) -> str:
    return "" if "headerlink" in link[0] else link[0]


def _fold(text: str) -> str:
    return "".join(re.findall(r"\w", text.lower()))
