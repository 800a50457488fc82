"""Each row of the table of formats, by a file of its format."""

import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.formats import FORMATS, PLAIN_TEXT, Format
from retrieval.parsers.parsed import ParseLimits
from retrieval.parsers.sniff import sniff
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

SAMPLES = {
    "markdown": b"# Prices\n\nAdults pay 12 euros.\n",
    "html": b"<!doctype html><h1>Prices</h1><p>Adults pay 12 euros.",
    "pdf": make_pdf(["Adults pay 12 euros."]),
    "text": b"Adults pay 12 euros.",
}
"""A file per row, which shows by itself what it is as far as its format allows."""

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.kind)
NAMES = [f"a{extension}" for row in FORMATS for extension in row.media_types]


def test_each_row_has_a_sample_here() -> None:
    assert list(SAMPLES) == [row.kind for row in FORMATS]


@each_format
def test_the_extensions_of_a_row_lead_to_it(row: Format) -> None:
    for extension, media_type in row.media_types.items():
        for name in (f"a{extension}", f"A{extension.upper()}"):
            format_, content = sniff(SAMPLES[row.kind], name)
            assert (format_, content.media_type) == (row, media_type), name


@each_format
@pytest.mark.parametrize("name", [*NAMES, "a", "Notes 2.1", "a.unknown", ""])
def test_the_magic_of_a_row_leads_to_it(row: Format, name: str) -> None:
    format_, content = sniff(SAMPLES[row.kind], name)
    if row.signature is not None or row.opening is not None:
        assert format_ is row
        assert content.media_type == row.media_type_of(name)
    elif name in ("a", "Notes 2.1", ""):
        assert format_ is row
    elif name == "a.unknown":
        assert format_ is PLAIN_TEXT


@each_format
def test_the_parser_of_a_row_reads_it(row: Format) -> None:
    parsed = read_document(SAMPLES[row.kind], "a", ParseLimits())
    assert "Adults pay 12 euros." in parsed.text
    assert parsed.media_type == row.media_type_of("a")
    assert row.load_parser().__module__ == row.parser.partition(":")[0]


@each_format
def test_a_text_that_lacks_what_a_row_requires_is_plain_text(row: Format) -> None:
    if row.required:
        assert row.required not in "words"
        assert [sniff(b"words", f"a{extension}")[0] for extension in row.media_types] == [PLAIN_TEXT] * len(
            row.media_types
        )
