"""Offsets say exactly which part of a document a passage is, whatever is repeated around the pieces of its blocks."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.backends import IndexBackend, KeywordVector
from retrieval.content import read_pieces
from retrieval.messages import ContentRequest, TextPiece
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from retrieval.parsers.text_writer import TextWriter
from retrieval.points import contextualize, to_point
from retrieval.visibility import Visibility
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model

Rows = Sequence[Sequence[str]]
HEAD = ("Model", "Price", "Colour")
WORDS = st.sampled_from(["K2", "49 euros", "red", "a long remark about the lid", "ß", "水壶", "0"])
TABLES = st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=40)
PROSE = st.sampled_from(["", "It boils. " * 9, "Read this first."])


def join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def write_markdown(rows: Rows, prose: str) -> tuple[str, str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    table = "\n".join([f"| {' | '.join(HEAD)} |", "|---|---|---|", *lines])
    code = "```sh\n" + "\n".join(f"boil {' '.join(row)}" for row in rows) + "\n```"
    steps = "\n".join(f"{number}. Press {row[0]}." for number, row in enumerate(rows, 1))
    return "guide.md", join("# Guide", prose, table, code, steps, prose)


def write_html(rows: Rows, prose: str) -> tuple[str, str]:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    heads = "".join(f"<th>{name}</th>" for name in HEAD)
    steps = "".join(f"<li>Press {row[0]}.</li>" for row in rows)
    return "guide.html", f"<h1>Guide</h1><p>{prose}</p><table><tr>{heads}</tr>{cells}</table><ol>{steps}</ol>"


def write_csv(rows: Rows, _prose: str) -> tuple[str, str]:
    return "prices.csv", "\n".join(";".join(row) for row in (HEAD, *rows))


def write_json(rows: Rows, prose: str) -> tuple[str, str]:
    values = [dict(zip(HEAD, row, strict=True)) for row in rows]
    return "prices.json", json.dumps({"about": prose, "items": [{"sizes": values}, *values]})


def write_code(rows: Rows, _prose: str) -> tuple[str, str]:
    body = "\n".join(f"    boil({', '.join(map(repr, row))})" for row in rows)
    return "kettle.py", f"import os\n\n\ndef make_tea(cups):\n{body}\n\n\ndef stop():\n{body}\n"


def write_mail(rows: Rows, prose: str) -> tuple[str, str]:
    _, page = write_html(rows, prose)
    return "mail.eml", f"From: a@example.com\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n{page}"


def parse_written(write: Callable[[Rows, str], tuple[str, str]]) -> Callable[[Rows, str], ParsedDocument]:
    def parse(rows: Rows, prose: str) -> ParsedDocument:
        name, text = write(rows, prose)
        return read_document(text.encode(), name, ParseLimits())

    return parse


def parse_office(rows: Rows, prose: str) -> ParsedDocument:
    """Stand for the formats whose parsers write by `TextWriter`: Word, Excel, PowerPoint, OpenDocument, RTF, EPUB."""
    writer = TextWriter()
    writer.add_heading("Guide", 1)
    writer.add_paragraph(prose)
    writer.add_table([HEAD, *rows], 1)
    writer.add_code("\n".join(f"boil {' '.join(row)}" for row in rows))
    writer.add_list([f"- Press {row[0]}." for row in rows])
    writer.add_record("kettles", [": ".join(row) for row in rows])
    return writer.finish("application/rtf")


PARSERS = {
    write.__name__: parse_written(write)
    for write in (write_markdown, write_html, write_csv, write_json, write_code, write_mail)
} | {"office": parse_office}


class Payloads:
    """A backend with the payloads of one document."""

    def __init__(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        self._payloads = payloads

    async def read(self, _visibility: Visibility, fields: Sequence[str]) -> list[dict[str, Any]]:
        return [{name: payload[name] for name in fields} for payload in self._payloads]


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@settings(max_examples=25, deadline=None)
@given(rows=TABLES, prose=PROSE, max_tokens=st.integers(16, 80), overlap=st.integers(0, 16))
async def test_what_is_between_the_offsets_is_in_the_passage_and_what_is_repeated_is_told_apart(
    parse: Callable[[Rows, str], ParsedDocument], rows: Rows, prose: str, max_tokens: int, overlap: int
) -> None:
    parsed = parse(rows, prose)
    request = ingest_request(max_chunk_tokens=max_tokens, overlap_tokens=overlap)
    payloads: list[Mapping[str, Any]] = []
    for chunk in contextualize(parsed, request, word_offsets, window=256):
        assert chunk.text[chunk.lead : len(chunk.text) - chunk.tail] == parsed.text[chunk.start : chunk.end]
        assert chunk.text[: chunk.lead].strip() in parsed.text
        payloads.append(to_point(chunk, request, [1.0], KeywordVector([], [])).payload)
    whole = ContentRequest(tenant="kestrel", store="vs", document="k2", index_epoch=1)
    pieces: list[TextPiece] = await read_pieces(cast(IndexBackend, Payloads(payloads)), whole)
    assert all(piece.text == parsed.text[piece.start : piece.end] for piece in pieces)
    assert all(piece.body == parsed.text[piece.start + piece.headline : piece.end] for piece in pieces)
    assert not any(piece.headline and piece.body.startswith("# ") for piece in pieces)
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(parsed.text.split())
