"""Which passages stay, in which order, and how far they are extended: what must hold for any that a search may find."""

import asyncio
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answering.neighbours import extend_passages
from gateway.answering.ranking import RankedPassage, arrange, count_wanted
from gateway.assistants.release import Boost, RetrievalSpec
from gateway.vector_stores.search import StoreStates
from retrieval.client import Retriever, RetrieverUnavailable
from retrieval.messages import ContentRequest, Passage, TextPiece
from tests.fakes.passages import make_passage

NOW = 1_800_000_000.0
STATES = StoreStates({"vs": 3}, indexes=["index"])
TEXTS = st.sampled_from(
    [
        "The K2 has a warranty of 31 months.",
        "the k2 has a warranty of 31 months",
        "The K2 has a warranty of 42 months.",
        "",
    ]
)


def make(number: int, text: str = "", **more: Any) -> Passage:
    return make_passage("vs", number, text or f"Text {number}.", **{"heading": "", "score": 0.5, **more})


@st.composite
def passages(draw: st.DrawFn) -> list[Passage]:
    attributes = st.fixed_dictionaries(
        {},
        optional={"area": st.sampled_from(["kettles", "pots"]), "day": st.sampled_from(["2026-11-01", "soon", 1.79e9])},
    )
    count = draw(st.integers(0, 12))
    return [
        make(
            number,
            draw(TEXTS),
            document=f"doc_{draw(st.integers(0, 4))}",
            heading=draw(st.sampled_from(["", "K2", "K3"])),
            score=draw(st.floats(0, 1)),
            attributes=draw(attributes),
        )
        for number in range(count)
    ]


@st.composite
def specs(draw: st.DrawFn) -> RetrievalSpec:
    boost = st.builds(Boost, st.just("area"), st.floats(-1, 1), value=st.sampled_from(["kettles", 1.0, True]))
    recency = st.builds(Boost, st.just("day"), st.floats(-1, 1), half_life_days=st.floats(0.1, 1000))
    unset = st.just(msgspec.UNSET)
    return RetrievalSpec(
        ("vs",),
        draw(st.integers(1, 8)),
        max_per_document=draw(st.integers(1, 3) | unset),
        collapse_duplicates=draw(st.just(True) | unset),
        boosts=draw(st.lists(boost | recency, min_size=1, max_size=3).map(tuple) | unset),
        expand=cast("Any", draw(st.sampled_from(["neighbours", "section"]) | unset)),
        passage_characters=draw(st.integers(10, 400) | unset),
    )


@given(passages(), specs())
def test_what_stays_is_what_was_found_and_no_more_than_was_asked_for(found: list[Passage], spec: RetrievalSpec) -> None:
    arranged = arrange(found, spec, NOW)
    assert len(arranged) <= spec.top_k <= count_wanted(spec) <= max(50, spec.top_k)
    stay = [one.passage for one in arranged]
    everything = [*stay, *(copy for one in arranged for copy in one.copies)]
    assert all(passage in found for passage in everything)  # a boost lets nothing in that the filters kept out
    assert len({passage.id for passage in everything}) == len(everything)
    documents = [passage.document for passage in stay]
    assert not spec.max_per_document or all(documents.count(one) <= spec.max_per_document for one in documents)
    ranks = [one.passage.score * one.boost for one in arranged]
    assert not spec.boosts or ranks == sorted(ranks, reverse=True)
    for one in arranged:
        sources = [one.passage.document, *(copy.document for copy in one.copies)]
        assert len(set(sources)) == len(sources)
    if not (spec.boosts or spec.collapse_duplicates or spec.max_per_document):
        assert stay == found[: spec.top_k]


def test_a_copy_is_cited_behind_the_best_and_another_number_is_no_copy() -> None:
    spec = RetrievalSpec(("vs",), 5, collapse_duplicates=True)
    text = "The K2 has a warranty of 31 months, and the lid one of 12; both begin with the day on the bill."
    found = [
        make(1, text),
        make(2, text.lower().replace(",", " -"), document="doc_2"),
        make(3, text.replace("31", "42"), document="doc_3"),
        make(4, text, document="doc_4", heading="K3"),
        make(5, text, document="doc_5", heading="K3 Pro"),
        make(6, text.replace("both begin", "each begins, as ever,"), document="doc_6"),
        make(7, text, document="doc_1"),
    ]
    arranged = arrange(found, spec, NOW)
    sources = [[one.passage.key, *(copy.key for copy in one.copies)] for one in arranged]
    assert sources == [["docs/1.md", "docs/2.md", "docs/4.md", "docs/5.md"], ["docs/3.md"], ["docs/6.md"]]


def test_boosts_rank_by_attribute_and_by_age() -> None:
    day = 86_400
    found = [
        make(1, attributes={"area": "pots", "saved": NOW - 90 * day}),
        make(2, attributes={"area": "kettles", "saved": NOW - 900 * day}),
        make(3, attributes={"saved": "2026-11-27"}),
        make(4, attributes={"saved": True}),
    ]
    kettles = Boost("area", 0.5, value="kettles")
    recent = Boost("saved", 0.4, half_life_days=90)
    arranged = arrange(found, RetrievalSpec(("vs",), 4, boosts=(kettles,)), NOW)
    assert [(one.passage.id, one.boost) for one in arranged][:2] == [("point-2", 1.5), ("point-1", 1.0)]
    assert all(one.passage.score == 0.5 for one in arranged)
    arranged = arrange(found, RetrievalSpec(("vs",), 4, boosts=(recent,)), NOW)
    assert [one.passage.id for one in arranged] == ["point-3", "point-1", "point-2", "point-4"]
    assert [round(one.boost, 2) for one in arranged] == [1.27, 1.2, 1.0, 1.0]
    assert (
        arrange(found, RetrievalSpec(("vs",), 1, boosts=(Boost("area", -1, value="pots"),)), NOW)[0].passage.id
        != "point-1"
    )


class _Pages:
    """A document of paragraphs, as a retriever has it."""

    def __init__(self, chunks: list[TextPiece], broken: bool = False) -> None:
        self.chunks = chunks
        self.broken = broken

    async def read_content(self, request: ContentRequest) -> list[TextPiece]:
        if self.broken:
            raise RetrieverUnavailable("down")
        assert request.end is not None
        pieces: list[TextPiece] = []
        for chunk in self.chunks:
            first = max(chunk.start, request.start)
            if first < chunk.end and chunk.start < request.end:
                text = chunk.text[first - chunk.start :]
                pieces.append(msgspec.structs.replace(chunk, start=first, text=text))
        return pieces


def make_page(texts: list[tuple[str, str]]) -> list[TextPiece]:
    chunks: list[TextPiece] = []
    start = 0
    for heading, text in texts:
        chunks.append(TextPiece(start, start + len(text), text, heading))
        start += len(text) + 2
    return chunks


HEADER, ROWS = "| K |\n", ["| 1 |", "| 2 |", "| 3 |"]


@pytest.mark.parametrize(
    ("at", "text"),
    [(0, "| 1 |\n| 2 |\n| 3 |"), (1, "| 1 |\n| 2 |\n| 3 |"), (2, "| K |\n| 2 |\n| 3 |")],
)
def test_what_pieces_of_a_table_repeat_stands_once_above_them(at: int, text: str) -> None:
    """Row 1 is the table's beginning here, and needs no header; of the others each has it as its `lead`."""
    chunks = [
        TextPiece(6 * number, 6 * number + 5, row, "T", HEADER if number else "", "\n/" if number < 2 else "")
        for number, row in enumerate(ROWS)
    ]
    piece = chunks[at]
    shown = f"{piece.lead}{piece.text}{piece.tail}"
    places = {"start": piece.start, "end": piece.end, "lead": len(piece.lead), "tail": len(piece.tail)}
    hit = RankedPassage(make(0, shown, document="doc", heading="T", **places))
    spec = RetrievalSpec(("vs",), 5, expand="neighbours" if at == 2 else "section")
    retriever = cast(Retriever, _Pages(chunks, broken=False))
    (one,) = asyncio.run(extend_passages(retriever, "kestrel", spec, STATES, [hit]))
    assert one.passage.text == text
    assert (one.passage.lead, one.passage.tail) == (6 if at == 2 else 0, 0)
    assert one.passage.end - one.passage.start == len(text) - one.passage.lead


@pytest.mark.parametrize(
    ("at", "expand", "body"),
    [
        (1, "neighbours", "One.\n\nTwo.\n\n# K2\n\nThree."),
        (0, "neighbours", "One.\n\nTwo."),
        (2, "neighbours", "Two.\n\n# K2\n\nThree."),
        (2, "section", "One.\n\nTwo.\n\n# K2\n\nThree."),
    ],
)
def test_an_extended_text_has_only_such_headings_as_stand_in_its_middle(at: int, expand: Any, body: str) -> None:
    """The page has two sections of the same name, the first in two chunks."""
    page = "# K2\n\nOne.\n\nTwo.\n\n# K2\n\nThree."
    places = [(0, 10, 6), (12, 16, 0), (18, 30, 6)]
    chunks = [TextPiece(start, end, page[start:end], "K2", "", "", headline) for start, end, headline in places]
    (one,) = extend(chunks, [at], RetrievalSpec(("vs",), 5, expand=expand))
    assert one.passage.body == body
    assert body == page[one.passage.start + one.passage.headline : one.passage.end]


def extend(
    chunks: list[TextPiece], hits: list[int], spec: RetrievalSpec, *, broken: bool = False
) -> list[RankedPassage]:
    found = [
        RankedPassage(make(at, chunk.text, document="doc", **places))
        for at in hits
        for chunk in [chunks[at]]
        for places in [{name: getattr(chunk, name) for name in ("start", "end", "heading", "headline")}]
    ]
    retriever = cast(Retriever, _Pages(chunks, broken))
    return asyncio.run(extend_passages(retriever, "kestrel", spec, STATES, found))


PAGE = make_page([("A", "One."), ("B", "Two."), ("B", "Three."), ("B", "Four."), ("B", "Five."), ("C", "Six.")])


@pytest.mark.parametrize(
    ("options", "hits", "texts"),
    [
        ({}, [2], ["Three."]),
        ({"expand": "neighbours"}, [2], ["Two.\n\nThree.\n\nFour."]),
        ({"expand": "section"}, [2], ["Two.\n\nThree.\n\nFour.\n\nFive."]),
        ({"expand": "neighbours"}, [0], ["One."]),
        ({"expand": "neighbours"}, [2, 3], ["Two.\n\nThree.", "Four.\n\nFive."]),
        ({"expand": "neighbours"}, [2, 4], ["Two.\n\nThree.\n\nFour.", "Five."]),
        ({"expand": "section", "passage_characters": 12}, [2], ["Three."]),
        ({"expand": "section", "passage_characters": 13}, [2], ["Three.\n\nFour."]),
        ({"expand": "section", "passage_characters": 3}, [2], ["Three."]),
    ],
)
def test_neighbours_are_of_the_same_headings_and_come_once(
    options: dict[str, Any], hits: list[int], texts: list[str]
) -> None:
    spec = RetrievalSpec(("vs",), 5, **options)
    extended = extend(PAGE, hits, spec)
    assert [one.passage.text for one in extended] == texts
    for one in extended:
        assert one.neighbours == one.passage.text.count("\n\n")
        assert one.passage.end - one.passage.start == len(one.passage.text)
    assert extend(PAGE, hits, spec, broken=True) == extend(PAGE, hits, RetrievalSpec(("vs",), 5))


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.text("xy ", min_size=1, max_size=40)), min_size=1, max_size=10),
    st.lists(st.integers(0, 9), unique=True, max_size=4),
    specs(),
)
def test_the_budget_is_never_exceeded(texts: list[tuple[str, str]], hits: list[int], spec: RetrievalSpec) -> None:
    chunks = make_page(texts)
    hits = [at for at in hits if at < len(chunks)]
    extended = extend(chunks, hits, spec)
    whole = "\n\n".join(text for _heading, text in texts)
    plain = sum(len(chunks[at].text) for at in hits)
    assert sum(len(one.passage.text) for one in extended) <= max(spec.passage_characters or 8_000, plain)
    assert len(extended) == len(hits)
    ranges = sorted((one.passage.start, one.passage.end) for one in extended)
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
    for one, at in zip(extended, hits, strict=True):
        assert one.passage.text == whole[one.passage.start : one.passage.end]
        assert chunks[at].text in one.passage.text


def test_a_passage_that_stands_for_several_documents_has_the_names_of_all() -> None:
    spec = RetrievalSpec(("vs",), 5, collapse_duplicates=True)
    manuals = [
        make(n, "It lasts 31 months.", document=name, heading="User manual > Warranty", name=name, score=1 - n / 10)
        for n, name in enumerate(("k2", "k9", "k2"))
    ]
    (shown,) = arrange(manuals[:2], spec, 0.0)
    assert shown.passage.title == "User manual (k2, k9) > Warranty"
    assert [copy.title for copy in shown.copies] == ["User manual (k9) > Warranty"]
