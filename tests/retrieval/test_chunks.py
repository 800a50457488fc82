import base64
import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunks import Chunk, split_into_chunks
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed_document import FileContent, Heading, ParsedDocument, ParseLimits
from tests.retrieval.words import word_offsets

KETTLE = """# Kestrel K2

## Warranty

The warranty of the K2 lasts 31 months. It covers the base and the lid.

## Price

The K2 costs 49 euros. Shipping is free above 40 euros.

### Returns

Send it back within 30 days.
"""


def size(text: str) -> int:
    return len(word_offsets(text))


def parse(text: str) -> ParsedDocument:
    return parse_markdown(FileContent(text.encode(), "text/markdown", text), ParseLimits())


def cut(text: str, max_tokens: int, overlap_tokens: int = 0) -> list[Chunk]:
    return split_into_chunks(parse(text), word_offsets, max_tokens=max_tokens, overlap_tokens=overlap_tokens)


def test_a_section_is_a_chunk_with_the_path_of_headings_above_it() -> None:
    chunks = cut(KETTLE, max_tokens=40)
    assert [chunk.headings for chunk in chunks] == [
        ("Kestrel K2", "Warranty"),
        ("Kestrel K2", "Price"),
        ("Kestrel K2", "Price", "Returns"),
    ]
    assert chunks[0].text.startswith("# Kestrel K2\n\n## Warranty")
    assert chunks[2].text == "### Returns\n\nSend it back within 30 days."


def sentences(count: int) -> str:
    return " ".join(f"Sentence number {n} says what the model number {n} of the kettles costs." for n in range(count))


TEXTS = {
    "paragraphs": "\n\n".join(sentences(n % 4 + 1) for n in range(30)),
    "lines": "\n".join(f"row {n} | {n * 7} euros" for n in range(300)),
    "one paragraph": sentences(80),
    "no sentences": "word " * 700,
    "no spaces": "-".join(["x"] * 900),
    "markdown": KETTLE * 9,
    "wide characters": "Öl für 5 €. Größe 😀 passt. 水壶价格。" * 40,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("overlap", [0, 12])
def test_chunks_are_exact_slices_within_the_size_that_leave_nothing_out(text: str, overlap: int) -> None:
    parsed = parse(text)
    chunks = cut(text, 60, overlap)
    assert len(chunks) > 3
    for chunk in chunks:
        assert chunk.text == parsed.text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip()
        assert 0 < size(chunk.text) <= 60 + 60 // 8
    covered = {at for chunk in chunks for at in range(chunk.start, chunk.end)}
    assert all(at in covered or parsed.text[at].isspace() for at in range(len(parsed.text)))
    assert all(one.start < other.start and one.end < other.end for one, other in pairwise(chunks))


def test_overlap_repeats_whole_sentences_of_the_piece_before() -> None:
    text = sentences(30)
    assert all(one.end < other.start for one, other in pairwise(cut(text, 60)))
    for one, other in pairwise(cut(text, 60, overlap_tokens=20)):
        assert other.start < one.end
        assert other.text.startswith("Sentence number")
        assert size(text[other.start : one.end]) <= 20


def test_a_tiny_last_piece_is_joined_to_the_one_before() -> None:
    text = sentences(4) + "\n\nThe end."
    whole = size(sentences(4))
    assert [chunk.text for chunk in cut(text, max_tokens=whole)] == [text]


def test_an_edit_moves_chunks_of_its_own_section_only() -> None:
    body = "\n\n".join(f"## Model {n}\n\n{sentences(12)}" for n in range(20))
    edited = body.replace("## Model 7\n\n", "## Model 7\n\nA new first sentence that was not there before. ")
    before = {chunk.text for chunk in cut(body, max_tokens=60)}
    after = [chunk for chunk in cut(edited, max_tokens=60) if chunk.text not in before]
    assert {chunk.headings for chunk in after} == {("Model 7",)}


def test_text_without_any_heading_is_a_section_of_its_own() -> None:
    assert cut("Just a line.", max_tokens=10) == [Chunk(0, 12, "Just a line.", ())]


def test_text_before_the_first_heading_is_a_section_without_a_path() -> None:
    before, section = cut("A line before all of it, long enough to stay.\n\n# Title\n\nMore.", max_tokens=20)
    assert (before.headings, section.headings) == ((), ("Title",))


def test_white_space_around_a_section_belongs_to_no_chunk() -> None:
    (only,) = cut("\n\n  A line.  \n\n", max_tokens=10)
    assert (only.text, only.start) == ("A line.", 4)


def test_pages_without_text_make_no_chunk() -> None:
    text = "\f \fThe third page."
    pages = [Heading(start, 1, f"page {number}") for number, start in enumerate((0, 1, 3), 1)]
    chunks = split_into_chunks(ParsedDocument("application/pdf", "", text, pages), word_offsets, max_tokens=10)
    assert [(chunk.headings, chunk.text) for chunk in chunks] == [(("page 3",), "The third page.")]


def make_noise(length: int) -> bytes:
    return b"".join(hashlib.sha256(n.to_bytes(4)).digest() for n in range(length // 32))


CODED = {
    "hexadecimal": make_noise(20_000).hex(),
    "base64": base64.b64encode(make_noise(30_000)).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(make_noise(30_000)).decode(),
    "base64 in lines": base64.encodebytes(make_noise(30_000)).decode().strip(),
    "one letter": "x" * 40_000,
}


@pytest.mark.parametrize("coded", CODED.values(), ids=CODED)
@pytest.mark.parametrize("heading", ["", "# Dump\n\n"])
def test_a_coded_run_makes_no_chunks_and_what_stands_around_it_stays(coded: str, heading: str) -> None:
    text = f"{heading}The key of the kettle:\n{coded} The service code is 4471."
    chunks = cut(text, 160)
    assert [chunk.text.startswith("The service code") for chunk in chunks] == [False, True]
    assert chunks[0].text == f"{heading}The key of the kettle:\n{coded[:40]}"
    assert chunks[1].text == "The service code is 4471."
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)


def test_a_document_that_is_one_coded_run_keeps_its_beginning() -> None:
    (only,) = cut(CODED["hexadecimal"], 160)
    assert only.text == CODED["hexadecimal"][:40]


LONG_LINES = {
    "paths": ",".join(f"/v1/parts/{n}/drawings/{n * 7919 % 10007}" for n in range(1_500)),
    "a name": "_".join(f"part{n}of_the_kettle" for n in range(900)),
    "Chinese": "水壶的保修期为十九个月请保留收据每年除垢两次" * 400,
    "identifiers": "/".join(f"{n:08x}-4a1b-8c2d-{n:04x}-{n * 7919:012x}" for n in range(600)),
    "dashes": "-" * 30_000 + "the end",
}


@pytest.mark.parametrize("line", LONG_LINES.values(), ids=LONG_LINES)
@pytest.mark.parametrize("overlap", [0, 40])
def test_a_long_line_is_cut_into_bounded_chunks_and_loses_nothing(line: str, overlap: int) -> None:
    chunks = cut(line, 160, overlap)
    assert {at for chunk in chunks for at in range(chunk.start, chunk.end)} == set(range(len(line)))
    assert all(len(chunk.text) <= 160 * 16 * 9 / 8 for chunk in chunks)


def test_no_chunk_is_longer_than_a_prompt_can_take() -> None:
    prose = "Kettles are described in a sentence of some length. " * 2_000
    assert max(len(chunk.text) for chunk in cut(prose, 4_096)) <= 6_000 * 9 / 8


blocks = st.one_of(
    st.sampled_from(("# Kestrel", "## Warranty", "---", "```", "- item", "| a |  | c |", "\tcode", "> quote")),
    st.text("abcdefgh 123\n.,;|*`<>!-#", max_size=80),
    st.integers(1, 90).map(lambda count: f"word{count} " * count),
    st.integers(1, 400).map(lambda count: f"{count}水壶" * count),
    st.integers(100, 9_000).map(lambda length: f"{length}." * (length // 5)),
)


@given(st.lists(blocks, max_size=12), st.integers(5, 200), st.sampled_from((0, 10)))
@settings(max_examples=80, deadline=None)
def test_every_word_is_in_some_chunk_and_every_chunk_is_bounded(
    parts: list[str], max_tokens: int, overlap: int
) -> None:
    text = "\n\n".join(["Beginning", *parts, "End"])
    parsed = parse(text)
    chunks = cut(text, max_tokens, overlap)
    covered = {at for chunk in chunks for at in range(chunk.start, chunk.end)}
    assert all(at in covered or parsed.text[at].isspace() for at in range(len(parsed.text)))
    for chunk in chunks:
        assert chunk.text == parsed.text[chunk.start : chunk.end]
        assert size(chunk.text) <= max_tokens * 9 / 8
        assert len(chunk.text) <= max_tokens * 16 * 9 / 8
