import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.notebook import parse_notebook
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

pytestmark = pytest.mark.model

TABLE = "<style>x {}</style><table><tr><th></th><th>price</th></tr><tr><th>K2</th><td>49</td></tr></table>"


def parse(cells: list[dict[str, Any]], **members: Any) -> ParsedDocument:
    return read(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells, **members}))


def read(text: str) -> ParsedDocument:
    return parse_notebook(FileContent(text.encode(), "application/x-ipynb+json", text), ParseLimits())


def code(*outputs: dict[str, Any], source: Any = "x = 1") -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_cells_are_read_in_their_order_with_headings_and_code_as_blocks() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Sales\n", "\n", "By **port**.\n"]},
        code({"output_type": "stream", "name": "stdout", "text": ["49\n"]}, source=["if x:\n", "    print(49)"]),
        {"cell_type": "markdown", "source": "## Costs"},
        {"cell_type": "raw", "source": "As written."},
    ]
    parsed = parse(cells)
    assert [(heading.level, heading.title) for heading in parsed.headings] == [(1, "Sales"), (2, "Costs")]
    blocks = [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]
    assert blocks == [("code", "if x:\n    print(49)"), ("code", "49")]
    assert (parsed.title, parsed.text[-11:]) == ("Sales", "As written.")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"text": "10 %\r50 %\r100 %\n\x1b[31mdone\x1b[0m\r\n"}, "100 %\ndone"),
        ({"data": {"text/html": [TABLE], "text/plain": ["  price"]}}, "| price\nK2 | 49"),
        ({"data": {"text/html": "<b>49</b>", "text/plain": "<IPython.core.display.HTML object>"}}, "49"),
        ({"data": {"image/png": "iVBO", "text/plain": ["<Figure size 640x480 with 1 Axes>"]}}, ""),
        ({"data": {"text/markdown": "**49**", "text/plain": "<IPython.core.display.Markdown object>"}}, "**49**"),
        ({"data": {"text/plain": "(49, 59)"}}, "(49, 59)"),
        ({"data": {"text/plain": "<Kettle K2>"}}, "<Kettle K2>"),
        ({"ename": "ValueError", "evalue": "too hot", "traceback": ["\x1b[0;31m---"]}, "ValueError: too hot"),
    ],
)
def test_of_an_output_its_text_is_read_as_the_notebook_shows_it(output: dict[str, Any], text: str) -> None:
    assert parse([code(output)]).text.removeprefix("x = 1").strip() == text


def test_old_notebooks_have_sheets_headings_and_other_names() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Costs"]},
        {"cell_type": "code", "input": ["x"], "outputs": [{"output_type": "pyout", "text": ["49"]}]},
    ]
    assert read(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]})).text == "## Costs\n\nx\n\n49"


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": "b"}', "[" * 5_000, '{"cells": 7, "x": "y"}'])
def test_what_is_no_notebook_is_a_text_and_told(text: str) -> None:
    parsed = read(text)
    assert parsed.text == text
    assert parsed.warnings == ["The file isn't a notebook with cells and is read as plain text."]


@pytest.mark.parametrize("cells", [[7], [{}], [code(source="")], [code({"data": {"image/png": "x"}}, source=[1])]])
def test_a_notebook_of_nothing_is_unreadable(cells: list[Any]) -> None:
    with pytest.raises(DocumentUnreadable, match="no visible text"):
        parse(cells)


def test_a_very_long_output_is_cut_off_and_told() -> None:
    parsed = parse([code({"text": "x\n" * 50_000})])
    assert len(parsed.text) < 50_000
    assert "100000 characters was cut off" in parsed.warnings[0]


WORDS = st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=1, max_size=3)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["markdown", "code", "raw"]), WORDS, WORDS), min_size=1, max_size=4))
def test_no_word_of_a_cell_or_an_output_is_lost(cells: list[tuple[str, list[str], list[str]]]) -> None:
    written = [
        {"cell_type": kind, "source": "\n".join(source), **({"outputs": [{"text": printed}]} if kind == "code" else {})}
        for kind, source, printed in cells
    ]
    words = [word for kind, source, printed in cells for word in (*source, *(printed if kind == "code" else []))]
    text = "".join(parse(written).text.split())
    at = 0
    for word in words:
        at = text.index(word, at) + len(word)
