"""Drawings as files of their own: their words are the text, and the numbers of their paths are none."""

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits

pytestmark = pytest.mark.model

BEGIN = "<?xml version='1.0'?><!-- Made by a > program --><svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'>"
PATH = "<style>.a{fill:red}</style><path d='M 10 20.5 C 3.25 4 5 6 7 8'/>"


def read(text: str, name: str) -> ParsedDocument:
    return read_document(text.encode(), name, ParseLimits())


def test_a_drawing_is_read_by_its_words() -> None:
    words = "<g><text x='1'>Fill the <tspan>K2</tspan></text><text>Press it</text></g>"
    parsed = read(f"{BEGIN}{PATH}{words}<foreignObject><div>It boils.</div></foreignObject></svg>", "steps.SVG")
    assert parsed.text.split() == "Fill the K2 Press it It boils.".split()
    assert parsed.media_type == "image/svg+xml"


def test_lines_of_a_drawings_text_are_words_of_their_own() -> None:
    lines = "<text><tspan x='0' dy='1em'>Fill the</tspan><tspan x='0' dy='1em'>K<tspan dy='2'>2</tspan></tspan></text>"
    parsed = read(f"{BEGIN}<title>How to fill it</title>{lines}</svg>", "steps.svg")
    assert parsed.text == "Fill the K2"
    assert parsed.title == "How to fill it"


def test_a_drawing_without_words_is_refused_as_one() -> None:
    with pytest.raises(DocumentUnreadable, match=r"The drawing has no text\. Save it") as caught:
        read(f"{BEGIN}{PATH}</svg>", "icon.svg")
    assert caught.value.code == "empty_file"
    with pytest.raises(DocumentUnreadable, match="The page shows no text"):
        read(f"<html>{PATH}</html>", "icon.html")


def test_what_is_called_a_drawing_and_is_none_is_a_text() -> None:
    assert read("The drawing costs 49 euros.", "a.svg").text == "The drawing costs 49 euros."
