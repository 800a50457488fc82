"""Each row of the table of formats, by a file of its format."""

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.document_format import DocumentFormat
from retrieval.parsers.formats import FORMATS, PLAIN_TEXT
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.parsers.sniff import sniff
from tests.retrieval.model.parsers.office_files import make_docx, make_epub, make_odt, make_pptx, make_xlsx
from tests.retrieval.model.parsers.pdf_files import make_pdf
from tests.retrieval.model.parsers.picture_files import has_tesseract, make_picture

pytestmark = pytest.mark.model

SENTENCE = "Adults pay 12 euros."
PARAGRAPH = f"<text:p>{SENTENCE}</text:p>"
CELL = f"<table:table><table:table-row><table:table-cell>{PARAGRAPH}</table:table-cell></table:table-row></table:table>"
SPACES = "xmlns:office='o' xmlns:text='t'"
TYPE = 'office:mimetype="application/vnd.oasis.opendocument.text"'
SAMPLES = {
    "markdown": b"# Prices\n\nAdults pay 12 euros.\n",
    "rst": b".. note:: Adults pay 12 euros.\n",
    "asciidoc": b"== Prices\n\nAdults pay 12 euros.\n",
    "org": b"* Prices\nAdults pay 12 euros.\n",
    "html": b"<!doctype html><h1>Prices</h1><p>Adults pay 12 euros.",
    "pdf": make_pdf([SENTENCE]),
    "docx": make_docx(f"<w:p><w:r><w:t>{SENTENCE}</w:t></w:r></w:p>"),
    "pptx": make_pptx([["Prices", SENTENCE]]),
    "xlsx": make_xlsx([["Prices", SENTENCE]]),
    "odt": make_odt(PARAGRAPH),
    "ods": make_odt(CELL, "spreadsheet"),
    "odp": make_odt(f"<draw:page><draw:frame>{PARAGRAPH}</draw:frame></draw:page>", "presentation"),
    "fodf": (
        f"<office:document {SPACES} {TYPE}><office:body><office:text>{PARAGRAPH}</office:text></office:body>"
        "</office:document>"
    ).encode(),
    "rtf": b"{\\rtf1 Adults pay 12 euros.}",
    "epub": make_epub({"one.xhtml": f"<html><body><p>{SENTENCE}</p></body></html>"}),
    "email": b"From: a@example.com\nDate: Fri, 27 Nov 2026 09:30:00 +0000\nMIME-Version: 1.0\n\nAdults pay 12 euros.\n",
    "picture": make_picture(SENTENCE),
    "csv": b"Group,Price\nAdults,Adults pay 12 euros.\n",
    "json": b'{"prices": "Adults pay 12 euros."}',
    "jsonl": b'{"prices": "Adults pay 12 euros."}\n{"a": 1}\n',
    "ipynb": b'{"cells": [{"cell_type": "markdown", "source": ["Adults pay 12 euros."]}]}',
    "subtitles": b"WEBVTT\n\n00:01.000 --> 00:02.000\nAdults pay 12 euros.\n",
    "code": b"# Adults pay 12 euros.\n",
    "text": b"Adults pay 12 euros.",
}
"""A file per row, which shows by itself what it is as far as its format allows."""

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.kind)
NAMES = [f"a{extension}" for row in FORMATS for extension in row.media_types]


def test_each_row_has_a_sample_here() -> None:
    assert list(SAMPLES) == [row.kind for row in FORMATS]


@each_format
def test_the_extensions_of_a_row_lead_to_it(row: DocumentFormat) -> None:
    for extension, media_type in row.media_types.items():
        for name in (f"a{extension}", f"A{extension.upper()}"):
            format_, content = sniff(SAMPLES[row.kind], name)
            assert (format_, content.media_type) == (row, media_type), name


@each_format
@pytest.mark.parametrize("name", [*NAMES, "a", "Notes 2.1", "a.unknown", ""])
def test_the_magic_of_a_row_leads_to_it(row: DocumentFormat, name: str) -> None:
    format_, content = sniff(SAMPLES[row.kind], name)
    if row.is_binary or row.opening is not None:
        assert format_ is row
        assert content.media_type == row.media_type_of(name)
    elif name in ("a", "Notes 2.1", "") and row.kind != "code":
        assert format_ is (row if row.marks is not None else PLAIN_TEXT)
    elif name == "a.unknown":
        assert format_ is PLAIN_TEXT


@each_format
def test_the_parser_of_a_row_reads_it(row: DocumentFormat) -> None:
    if row.kind == "picture" and not has_tesseract():
        pytest.skip("tesseract isn't installed")
    name = f"a{next(iter(row.media_types))}"
    parsed = read_document(SAMPLES[row.kind], name, ParseLimits())
    assert SENTENCE in parsed.text
    assert parsed.media_type == row.media_type_of("a")
    assert row.load_parser().__module__ == row.parser.partition(":")[0]


@each_format
def test_a_text_that_lacks_what_a_row_requires_is_plain_text(row: DocumentFormat) -> None:
    if row.required:
        assert row.required.search("words") is None
        assert [sniff(b"words", f"a{extension}")[0] for extension in row.media_types] == [PLAIN_TEXT] * len(
            row.media_types
        )


OPENAI = ".c .cpp .cs .css .docx .go .html .java .js .json .md .pdf .php .pptx .py .rb .sh .tex .ts .txt".split()
"""The types of OpenAI's file search, but for `.doc`, which is refused with the way out."""


def test_each_type_of_openais_file_search_has_a_row() -> None:
    rows = {extension: row for row in FORMATS for extension in row.media_types}
    assert [extension for extension in OPENAI if extension not in rows] == []
