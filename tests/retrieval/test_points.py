from typing import Any

from retrieval.backends import KeywordVector, Point
from retrieval.parsers import Heading, ParsedDocument
from retrieval.points import ContextualChunk, contextualize, to_point
from retrieval.visibility import OPEN
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

TEXT = "# Kestrel K2\n\nThe warranty lasts 31 months.\n"
PARSED = ParsedDocument("text/markdown", "Kestrel K2", TEXT, [Heading(0, 1, "Kestrel K2")])
PLAIN = ParsedDocument("text/plain", "", "The warranty lasts 31 months.", [])


def cut(parsed: ParsedDocument, window: int = 256, **changes: Any) -> list[ContextualChunk]:
    return contextualize(parsed, ingest_request(**changes), word_offsets, window=window)


def make_point(**changes: Any) -> Point:
    request = ingest_request(**changes)
    (chunk,) = contextualize(PARSED, request, word_offsets, window=256)
    return to_point(chunk, request, [1.0], KeywordVector([7], [0.5]))


def test_the_title_and_the_headings_are_indexed_with_the_text() -> None:
    (chunk,) = cut(PARSED)
    assert (chunk.heading, chunk.text) == ("Kestrel K2", TEXT.strip())
    assert chunk.indexed_text == f"Kestrel K2\n{TEXT.strip()}"


def test_a_point_says_how_much_of_its_text_is_the_heading_that_it_names() -> None:
    payload = make_point().payload
    assert payload["text"][payload["headline"] :] == "The warranty lasts 31 months."
    assert payload["text"] == TEXT.strip(), "a file's content has its headings"


def test_a_document_without_a_title_is_called_after_its_file() -> None:
    (chunk,) = cut(PLAIN, filename="kettle_K2-manual.txt")
    assert chunk.heading == ""
    assert chunk.indexed_text.splitlines()[0] == "kettle K2 manual"


def test_a_heading_names_the_document_whether_it_has_a_title_or_not() -> None:
    section = ParsedDocument("text/html", "", "## Warranty\n\n31 months", [Heading(0, 2, "Warranty")])
    (chunk,) = cut(section, filename="kettle_K2.html")
    assert chunk.heading == "kettle K2 > Warranty"
    titled = ParsedDocument("text/html", "Kestrel K2", section.text, section.headings)
    assert [chunk.heading for chunk in cut(titled)] == ["Kestrel K2 > Warranty"]
    assert [chunk.heading for chunk in cut(ParsedDocument("text/html", "Kestrel K2", "31 months", []))] == [
        "Kestrel K2"
    ]
    assert [chunk.heading for chunk in cut(PARSED)] == ["Kestrel K2"]


def test_a_long_path_keeps_the_documents_title_and_stays_within_the_window() -> None:
    for word in ("warranty ", "水壶", "x"):
        headings = [Heading(0, level, f"{level} {word * 40}") for level in (1, 2, 3)]
        parsed = ParsedDocument("text/markdown", f"Title {word * 60}", "word " * 300, headings)
        for chunk in cut(parsed, max_chunk_tokens=4096):
            context = chunk.indexed_text.partition("\n")[0]
            assert context.startswith("Title ")
            assert len(word_offsets(context)) <= 40
            assert len(context) <= 123
            assert len(word_offsets(chunk.indexed_text)) + 2 <= 256


def test_equal_texts_in_equal_context_have_equal_digests() -> None:
    (one,), (same,), (other,) = (cut(PLAIN, filename=name, key=name) for name in ("a.txt", "a.md", "b.txt"))
    assert one.digest == same.digest != other.digest


def test_chunks_stay_below_the_window_whatever_the_request_says() -> None:
    words = ParsedDocument("text/plain", "", "word " * 500, [])
    for window in (1, 60, 256):
        sizes = [len(word_offsets(chunk.text)) for chunk in cut(words, window=window, max_chunk_tokens=4000)]
        assert max(sizes) <= max(window - 42, 1)


def test_a_point_is_open_from_its_index_epoch_on() -> None:
    payload = make_point(index_epoch=7).payload
    assert (payload["from"], payload["to"]) == (7, OPEN)


def test_attributes_are_kept_for_people_and_for_filters() -> None:
    payload = make_point(attributes={"area": "pots", "a.b": 2}).payload
    assert payload["attributes"] == {"area": "pots", "a.b": 2}
    assert payload["where"] == {"k61726561": "s:pots", "k612e62": 2.0}


def test_the_same_request_makes_the_same_id_and_any_other_place_another() -> None:
    ids = [make_point(**changes).id for changes in ({}, {"version": 2, "filename": "b.md"})]
    assert ids[0] == ids[1]
    places = [{"tenant": "harbor"}, {"store": "other"}, {"document": "other"}, {"index_epoch": 2}]
    assert len({ids[0], *(make_point(**place).id for place in places)}) == 5


MANUAL = ParsedDocument(
    "text/markdown",
    "User manual",
    "# User manual\n\n## Warranty\n\nIt lasts 31 months.",
    [Heading(0, 1, "User manual"), Heading(15, 2, "Warranty")],
)


def test_documents_of_one_title_are_indexed_with_what_tells_them_apart() -> None:
    (k2,), (k9,) = (cut(MANUAL, filename=name, key=name) for name in ("k2.md", "k9.md"))
    assert (k2.heading, k9.heading) == ("User manual > Warranty", "User manual > Warranty")
    assert k2.indexed_text.startswith("User manual (k2) > Warranty\n")
    assert k9.indexed_text.startswith("User manual (k9) > Warranty\n")
    point = to_point(k2, ingest_request(), [1.0], KeywordVector([7], [0.5]))
    assert (k2.name, point.payload["name"]) == ("k2", "k2")
