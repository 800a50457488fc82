from itertools import pairwise

import pytest

from retrieval.chunks import Chunk, split_into_chunks
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed import FileContent, Heading, Parsed, ParseLimits
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


def parse(text: str) -> Parsed:
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
    chunks = split_into_chunks(Parsed("application/pdf", "", text, pages), word_offsets, max_tokens=10)
    assert [(chunk.headings, chunk.text) for chunk in chunks] == [(("page 3",), "The third page.")]
