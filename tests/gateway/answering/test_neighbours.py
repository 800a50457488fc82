"""Passages extended by their neighbours: torn and overlapping chunks, and in which order the budget is spent."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from gateway.answering.neighbours import extend_passages
from gateway.answering.ranking import RankedPassage
from gateway.assistants.release import RetrievalSpec
from gateway.vector_stores.search import StoreStates
from retrieval.client import Retriever
from retrieval.messages import ContentRequest, Passage, TextPiece
from tests.fakes.passages import make_passage

STATES = StoreStates({"vs": 3, "other": 7}, indexes=["new", "old"])


class Pages:
    """Documents as a retriever has them: what a request's range cuts off comes as a shorter piece."""

    def __init__(self, pages: dict[str, Sequence[TextPiece]]) -> None:
        self.pages = pages
        self.requests: list[ContentRequest] = []

    async def read_content(self, request: ContentRequest) -> list[TextPiece]:
        self.requests.append(request)
        assert request.end is not None
        found: list[TextPiece] = []
        for piece in self.pages[request.document]:
            start, end = max(piece.start, request.start), min(piece.end, request.end)
            if start < end:
                text = piece.text[start - piece.start : end - piece.start]
                found.append(TextPiece(start, end, text, piece.heading))
        return found


def piece(start: int, text: str, heading: str = "K2") -> TextPiece:
    return TextPiece(start, start + len(text), text, heading)


def hit(one: TextPiece, document: str = "doc", store: str = "vs") -> Passage:
    places = {"start": one.start, "end": one.end}
    return make_passage(store, 1, one.text, document=document, heading=one.heading, **places)


def extend(pages: Pages, hits: Sequence[Passage], **options: Any) -> list[RankedPassage]:
    spec = RetrievalSpec(("vs",), **{"expand": "neighbours", **options})
    found = [RankedPassage(one) for one in hits]
    return asyncio.run(extend_passages(cast(Retriever, pages), "kestrel", spec, STATES, found))


def texts(extended: Sequence[RankedPassage]) -> list[str]:
    return [one.passage.text for one in extended]


@pytest.mark.parametrize(
    ("before", "joined"),
    [
        (3_999, True),
        (4_000, True),  # read from the document's very beginning
        (4_001, False),  # what is read of it is torn
    ],
)
def test_a_chunk_that_reaches_further_than_is_read_is_left_out(before: int, joined: bool) -> None:
    first, second = piece(0, "x" * before), piece(before, "Two.")
    (one,) = extend(Pages({"doc": [first, second]}), [hit(second)], passage_characters=50_000)
    assert one.neighbours == int(joined)
    assert one.passage.text == (first.text if joined else "") + "Two."


def test_chunks_that_overlap_are_joined_without_saying_it_twice() -> None:
    page = "One two three four five six."
    chunks = [piece(0, page[:13]), piece(8, page[8:23]), piece(19, page[19:])]
    (one,) = extend(Pages({"doc": chunks}), [hit(chunks[1])])
    assert one.passage.text == page[:23], "the chunk behind begins inside of the passage"
    assert (one.passage.start, one.passage.end, one.neighbours) == (0, 23, 1)


def test_what_comes_behind_a_passage_is_taken_before_what_stands_in_front() -> None:
    chunks = [piece(0, "Before."), piece(9, "Here."), piece(16, "Behind.")]
    budget = len("Here.\n\nBehind.")
    for characters, text in (
        (budget - 1, "Here."),
        (budget, "Here.\n\nBehind."),
        (budget + 9, "Before.\n\nHere.\n\nBehind."),
    ):
        assert texts(extend(Pages({"doc": chunks}), [hit(chunks[1])], passage_characters=characters)) == [text]


def test_the_better_passage_has_the_first_word_on_the_budget() -> None:
    first, second = ([piece(0, f"{name} one."), piece(8, f"{name} two.")] for name in "ab")
    hits = [hit(first[0], "first"), hit(second[0], "second")]
    budget = 2 * len("a one.") + len("\n\na two.")
    extended = extend(Pages({"first": first, "second": second}), hits, passage_characters=budget)
    assert texts(extended) == ["a one.\n\na two.", "b one."]


def test_one_place_of_two_documents_is_two_places() -> None:
    pages = {name: [piece(0, "One."), piece(6, "Two.")] for name in ("first", "second")}
    hits = [hit(chunks[0], name) for name, chunks in pages.items()]
    assert texts(extend(Pages(cast(Any, pages)), hits)) == ["One.\n\nTwo.", "One.\n\nTwo."]


def test_a_chunk_between_two_passages_goes_to_the_better_one() -> None:
    chunks = [piece(0, "One."), piece(6, "Two."), piece(12, "Three.")]
    hits = [hit(chunks[2]), hit(chunks[0])]
    assert texts(extend(Pages({"doc": chunks}), hits)) == ["Two.\n\nThree.", "One."]


@pytest.mark.parametrize(("expand", "reach"), [("neighbours", 4_000), ("section", 7_995)])
def test_a_document_is_read_in_its_store_s_state_as_far_as_it_may_be_needed(expand: str, reach: int) -> None:
    far, near = piece(9_000, "Here."), piece(10, "Here.")
    for one, start in ((far, 9_000 - reach), (near, 0)):
        pages = Pages({"doc": [one]})
        extend(pages, [hit(one, store="other")], expand=expand)
        (request,) = pages.requests
        assert (request.tenant, request.store, request.document) == ("kestrel", "other", "doc")
        assert (request.index_epoch, request.indexes) == (7, ["new", "old"])
        assert (request.start, request.end) == (start, one.end + reach)


@pytest.mark.parametrize("options", [{"expand": None}, {"passage_characters": len("Here.")}])
def test_nothing_is_read_where_nothing_may_be_added(options: dict[str, Any]) -> None:
    pages = Pages({"doc": [piece(0, "Here."), piece(7, "Behind.")]})
    assert texts(extend(pages, [hit(pages.pages["doc"][0])], **options)) == ["Here."]
    assert extend(pages, []) == []
    assert pages.requests == []
