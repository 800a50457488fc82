"""The chunker's name changes with what it makes: by it stores know that they were indexed otherwise."""

import hashlib

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed import ParseLimits
from retrieval.points import CHUNKER, contextualize
from tests.retrieval.model.parsers.office_files import FILES
from tests.retrieval.model.parsers.pdf_files import make_page, make_pdf
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model

DOCUMENTS: dict[str, bytes] = {
    "guide.md": (
        "# Kestrel K2\n\nIt boils.\n\n## Prices\n\n| model | price |\n|---|---|\n| K2 | 49 |\n| K7 | |\n\n"
        "```sh\nmake tea\n```\n\n## Warranty\n\n" + "It lasts 19 months. " * 60
    ).encode(),
    "page.html": (
        b"<title>K7</title><h1>K7<br>Guide</h1><table><tr><td>K7</td><td></td><td>59</td></tr></table>"
        b"<h2><div>Care</div></h2><p>Descale it.</p>"
    ),
    "notes.txt": ("First.\n\n" + "A long line without an end " * 50 + "QUJD" * 200).encode(),
    "manual.pdf": make_pdf([make_page((20, "Manual"), (10, "It is hot.")), make_page((10, "It is cold."))]),
    **{
        name: (FILES / name).read_bytes()
        for name in ("text.docx", "text.rtf", "sheets.xlsx", "sheets.ods", "slides.pptx")
    },
    "fares.csv": ("Route;Fare\n" + "".join(f"Port {n};{n},50\n" for n in range(40))).encode(),
    "kettles.json": b'{"kettles": [{"name": "K2", "price": 49.0}, {"name": "K7", "colours": ["red", "blue"]}]}',
    "kettle.py": b"class Kettle:\n    def boil(self):\n        return 100\n",
    "mail.eml": b"From: a@example.com\nSubject: Prices\nMIME-Version: 1.0\n\nThe K2 costs 49 euros.\n",
}
GOLDEN = {"chunks-3": "7215e0a717553bf2"}
"""Digest of the chunks of all documents by the chunker's name."""


def test_its_name_is_raised_when_documents_get_other_chunks() -> None:
    digest = hashlib.sha256()
    for name, data in DOCUMENTS.items():
        parsed = read_document(data, name, ParseLimits())
        request = ingest_request(filename=name, max_chunk_tokens=60)
        for chunk in contextualize(parsed, request, word_offsets, window=256):
            digest.update(f"{name} {chunk.start} {chunk.end} {chunk.page} {chunk.indexed_text}\n".encode())
    assert GOLDEN.get(CHUNKER) == digest.hexdigest()[:16], (
        "These documents get other chunks than before. If that is wanted, raise the number in retrieval.points.CHUNKER "
        "and write this digest under the new name."
    )
