"""The heading that a chunk's path says isn't in the text that is shown under it, and no word of a document is lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed_document import FileContent, Heading, ParsedDocument, ParseLimits
from retrieval.parsers.source_code import parse_source_code
from retrieval.parsers.text_writer import TextWriter
from retrieval.points import ContextualChunk, contextualize
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets


def parse(text: str) -> ParsedDocument:
    return parse_markdown(FileContent(text.encode(), "text/markdown", text), ParseLimits())


def cut(parsed: ParsedDocument, max_tokens: int = 160, overlap: int = 0) -> list[ContextualChunk]:
    request = ingest_request(max_chunk_tokens=max_tokens, overlap_tokens=overlap)
    return contextualize(parsed, request, word_offsets, window=256)


def show(parsed: ParsedDocument, max_tokens: int = 160) -> list[str]:
    return [f"{chunk.heading}: {chunk.text[chunk.headline :]}" for chunk in cut(parsed, max_tokens)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# K2\n\n## Warranty\n\nIt lasts.", "K2 > Warranty: It lasts."),
        ("# K2\n## Warranty ##\nIt lasts.", "K2 > Warranty: It lasts."),
        ("   # K2\n\nIt lasts.", "K2: It lasts."),
        ("K2\n==\n\nWarranty\nand *care*\n---\n\nIt lasts.", "K2 > Warranty and care: It lasts."),
        ("# K2\n\n---\n\nIt lasts.", "K2: ---\n\nIt lasts."),
        ("# *K2* &amp; `K3`\n\nThey last.", "K2 & K3: They last."),
        ("# K2\n\n- It lasts.", "K2: - It lasts."),
    ],
)
def test_lines_of_headings_above_the_text_are_left_to_the_path(text: str, shown: str) -> None:
    assert show(parse(text)) == [shown]


def test_only_the_first_chunk_of_a_section_has_a_headline_and_it_is_indexed() -> None:
    parsed = parse(f"# K2\n\n{'It boils water. ' * 30}")
    chunks = cut(parsed, 60)
    assert len(chunks) > 1
    assert [chunk.headline for chunk in chunks] == [len("# K2\n\n"), *(0 for _ in chunks[1:])]
    assert chunks[0].indexed_text.startswith("K2\n# K2\n\nIt boils")


@pytest.mark.parametrize(
    "text",
    [
        "# K2",
        "# K2\n\n## Warranty",
        "# [K2](https://example.com/k2)\n\nIt lasts.",
        "# ★\n\nIt lasts.",
    ],
)
def test_a_heading_stays_that_is_all_there_is_or_says_more_than_the_path(text: str) -> None:
    (chunk,) = cut(parse(text))
    assert (chunk.headline, chunk.text) == (0, text)


def test_a_heading_in_the_middle_stays() -> None:
    (shown,) = show(parse("# K2\n\nIt boils.\n\n## Warranty\n\nIt lasts 31 months."))
    assert shown == "K2 > Warranty: It boils.\n\n## Warranty\n\nIt lasts 31 months."


def test_code_keeps_its_first_line_and_latex_is_like_markdown() -> None:
    def read(text: str, media_type: str) -> ParsedDocument:
        return parse_source_code(FileContent(text.encode(), media_type, text), ParseLimits())

    code = "def boil(cups):\n    heat(cups)\n    return cups"
    assert show(read(code, "text/x-python")) == [f"k2 > def boil(cups): {code}"]
    assert show(read("\\section*{Care}\n\nDescale it.", "text/x-tex")) == ["k2 > Care: Descale it."]


def test_a_heading_of_several_lines_is_a_headline_and_one_without_a_line_leaves_the_text_alone() -> None:
    pages = ParsedDocument(
        "application/pdf", "", "Care and\nwarranty\nIt lasts.\fMore.", [Heading(0, 1, "Care and warranty")]
    )
    assert show(pages) == ["k2 > Care and warranty: It lasts.\fMore."]
    unwritten = ParsedDocument("application/pdf", "", "The third page.", [Heading(0, 1, "page 3")])
    assert show(unwritten) == ["k2 > page 3: The third page."]


TITLES = st.sampled_from(("Kestrel K2", "Warranty", "Price of 2026", "Öl & Wasser", "水壶", "C++"))
WRITTEN = st.sampled_from(("# {}", "## {}", "### {} ###", "{}\n====", "{}\n---", "## *{}*", "## [{}](https://a.b)"))
BODIES = st.one_of(
    st.sampled_from(
        ("", "", "It lasts 31 months.", "Warranty", "- Price of 2026\n- C", "| K | P |\n|---|---|\n| 2 | 9 |")
    ),
    st.integers(1, 120).map(lambda count: f"Word{count} says. " * count),
    st.integers(1, 60).map(lambda count: "```sh\n" + f"# Warranty {count}\nboil\n" * count + "```"),
)
SECTIONS = st.lists(
    st.tuples(WRITTEN, TITLES, BODIES).map(lambda one: f"{one[0].format(one[1])}\n\n{one[2]}"), min_size=1, max_size=8
)


def read_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def write(sections: list[str]) -> ParsedDocument:
    """Write the same as a word processor's file."""
    writer = TextWriter()
    for section in sections:
        title, _, body = section.partition("\n\n")
        writer.add_heading(title.strip("#=-\n *"), title.count("#") or 1)
        writer.add_paragraph(body)
    return writer.finish("application/rtf", "Guide")


@given(st.sampled_from(("", "Beginning.")), SECTIONS, st.integers(8, 160), st.sampled_from((0, 10)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_text_begins_with_what_its_path_says_and_none_is_lost(
    beginning: str, sections: list[str], max_tokens: int, overlap: int, written: bool
) -> None:
    parsed = write(sections) if written else parse("\n\n".join(filter(None, [beginning, *sections])))
    titles = {heading.start: read_words(heading.title) for heading in parsed.headings}
    chunks = cut(parsed, max_tokens, overlap)
    for chunk in chunks:
        first, body = chunk.start + chunk.headline, chunk.text[chunk.headline :]
        assert body[chunk.lead : len(body) - chunk.tail] == parsed.text[first : chunk.end]
        assert set(read_words(chunk.text[: chunk.headline])) <= set(read_words(chunk.heading))
        if titles.get(first) == read_words(body.partition("\n")[0]):
            alone = [word for start, words in titles.items() if first <= start < chunk.end for word in words]
            assert (chunk.headline, read_words(body)) == (0, alone)
    kept = {word for chunk in chunks for word in read_words(f"{chunk.heading} {chunk.text[chunk.headline :]}")}
    assert set(read_words(parsed.text)) <= kept
