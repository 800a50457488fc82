"""What makes documents' chunks has versions, raised by hand: by them stores know that they were indexed otherwise."""

import hashlib

import msgspec
import pytest

from retrieval.parsers.formats import FORMATS
from retrieval.parsers.parsed_document import ParsedDocument
from retrieval.parsers.text_writer import TextWriter
from retrieval.points import CHUNKER, contextualize
from tests.retrieval.model.golden import DOCUMENTS, GOLDEN, list_parsers, read
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model

CHUNKS = {"chunks-9": "39e51a42024a95db"}
"""Digest of the chunks of one text by the chunker's name."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_parser_that_reads_otherwise_has_another_version(name: str) -> None:
    golden = msgspec.json.decode(GOLDEN.read_bytes())[name]
    parser = list_parsers()[name]
    if golden["parser"] == parser:
        assert read(name) == golden, (
            f"{name} is read otherwise than before. If that is wanted, raise the version of its format in "
            "retrieval.parsers.formats, then run `python -m tests.retrieval.model.golden`."
        )
    else:
        pytest.fail(
            f"{parser} has another version than {golden['parser']}: run `python -m tests.retrieval.model.golden`."
        )


def test_every_format_has_a_document() -> None:
    kinds = {parser.rpartition("-")[0] for parser in list_parsers().values()}
    assert kinds == {row.kind for row in FORMATS} - {"picture"}


def make_parsed() -> ParsedDocument:
    writer = TextWriter()
    writer.add_heading("Kestrel K2", 1)
    writer.add_paragraph("It boils.")
    writer.add_heading("Prices", 2)
    writer.add_table([("model", "price"), *((f"K{n}", f"{n} euros") for n in range(40))], 1)
    writer.begin_page()
    writer.add_list([f"{n}. Press it." for n in range(30)])
    writer.add_code("\n".join(f"boil {n}" for n in range(50)))
    writer.add_record("kettles[0]", [f"name: K{n}" for n in range(40)])
    writer.add_heading("Warranty", 2)
    writer.add_paragraph("It lasts 19 months. " * 60)
    writer.add_paragraph(f"{'-' * 60}\nA drawn line.\n{'_' * 60}")
    writer.add_paragraph("A long line without an end " * 50 + "QUJD" * 200)
    return writer.finish("text/plain", "Guide")


def test_the_chunkers_name_is_raised_when_documents_get_other_chunks() -> None:
    digest = hashlib.sha256()
    for overlap in (0, 10):
        request = ingest_request(filename="guide-k2.md", key="guide-k2.md", max_chunk_tokens=60, overlap_tokens=overlap)
        for chunk in contextualize(make_parsed(), request, word_offsets, window=256):
            places = f"{chunk.start} {chunk.end} {chunk.lead} {chunk.tail} {chunk.headline} {chunk.page}"
            digest.update(f"{places} {chunk.heading} {chunk.name} {chunk.indexed_text}\n".encode())
    assert CHUNKS.get(CHUNKER) == digest.hexdigest()[:16], (
        "The text gets other chunks than before. If that is wanted, raise the number in retrieval.points.CHUNKER "
        "and write this digest under the new name."
    )
