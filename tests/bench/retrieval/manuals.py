"""Several languages: Debian's translated man pages; the question is a page's line of description in its language."""

import re

from tests.bench.retrieval.markup import split_man
from tests.bench.retrieval.models import Document, LabelledSet, Question
from tests.bench.retrieval.sources import find_text, list_files

__all__ = ["make_manuals"]

_LANGUAGES = ("de", "fr", "es", "ja")
_PAGES_PER_LANGUAGE = 60
_CHARACTERS = 800


def make_manuals() -> LabelledSet:
    """Take pages that most languages have, without their section of names; every page is a document of one corpus."""
    pages = {
        language: {file.name: file for file in list_files(f"man/{language}/man1/*.1.gz")} for language in _LANGUAGES
    }
    names = sorted({name for files in pages.values() for name in files})
    names.sort(key=lambda name: (-sum(name in files for files in pages.values()), name))
    documents: list[Document] = []
    questions: list[Question] = []
    for language in _LANGUAGES:
        count = 0
        for name in names:
            if name not in pages[language] or count == _PAGES_PER_LANGUAGE:
                continue
            sections = split_man(find_text(pages[language][name]))
            if len(sections) < 3:
                continue
            program, _, description = re.sub(r"\s+", " ", sections[0][1]).partition(" - ")
            body = "\n\n".join(text for _, text in sections[1:])[:_CHARACTERS]
            if len(description) < 6 or len(body) < 200:
                continue
            count += 1
            id = f"{language}-{name.removesuffix('.1.gz')}"
            documents.append(Document(id, program, body))
            questions.append(Question(f"q-{id}", description, [id]))
    return LabelledSet(documents, questions)
