"""Plain text of the demo's documents, without the retriever's parsers (they live in the other environment)."""

import re
from html.parser import HTMLParser
from pathlib import Path

from gateway.demo import DemoDocument, DemoTenant

PDF_SOURCES = Path(__file__).parent / "pdfs"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain(tenant: DemoTenant, document: DemoDocument) -> str:
    if document.key.endswith(".pdf"):
        return (PDF_SOURCES / tenant.name / f"{document.key.removesuffix('.pdf')}.md").read_text(encoding="utf-8")
    text = document.read().decode()
    if document.key.endswith(".html"):
        reader = _Text()
        reader.feed(text)
        text = "".join(reader.parts)
    return text


def paragraphs(text: str) -> list[str]:
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip()]


def words(text: str) -> list[str]:
    return re.findall(r"[\w£.:'-]*\w", text.casefold())
