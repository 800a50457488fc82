"""The questions by which two indexes are compared, and the general and a store's own estimate of an answer."""

from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import BadRequest, Unavailable
from gateway.vector_stores import heading_questions, past_questions
from gateway.vector_stores.heading_questions import make_questions
from gateway.vector_stores.past_questions import find_past_questions
from gateway.vector_stores.retriever_errors import check_filters, explain_retriever_errors
from retrieval.errors import IndexChanged, InvalidFilter, RetrieverBusy, RetrieverFailed, RetrieverUnavailable

STORE: Any = SimpleNamespace(id="vs_1", tenant_id="kestrel")
STATES: Any = SimpleNamespace(index_epochs={"vs_1": 4}, indexes=["index"])
DATABASE: Any = SimpleNamespace(read=nullcontext)


def piece(heading: str, text: str = "") -> Any:
    return SimpleNamespace(heading=heading, text=text)


class Library:
    """A store's documents by id, each with its pieces."""

    def __init__(self, pieces: Mapping[str, list[Any]]) -> None:
        self._pieces = pieces
        self.asked: list[str] = []

    async def list_live_keys(self, _store: str) -> list[tuple[str, str]]:
        return [(id, f"{id}.md") for id in self._pieces]

    async def read_content(self, request: Any) -> list[Any]:
        assert (request.tenant, request.store, request.index_epoch) == ("kestrel", "vs_1", 4)
        self.asked.append(request.document)
        return self._pieces[request.document]

    async def make(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
        monkeypatch.setattr(heading_questions, "DocumentRepository", lambda *_: self)
        retriever: Any = self
        return dict(await make_questions(DATABASE, retriever, STORE, STATES))


async def test_paths_of_headings_are_questions_and_else_the_beginning_of_a_passage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = " ".join(f"word{n}" for n in range(20))
    library = Library(
        {
            "k2": [piece("Kestrel K2 > Warranty", "31 months"), piece("", "lost")],
            "k3": [piece("Kestrel K2 > Warranty"), piece("Kestrel\u00a0K3  >\tCare")],
            "plain": [piece("", words), piece("", "  \n ")],
            "empty": [],
        }
    )
    assert await library.make(monkeypatch) == {
        "Kestrel K2 Warranty": ["k2.md", "k3.md"],
        "Kestrel K3 > Care": ["k3.md"],
        "word0 word1 word2 word3 word4 word5 word6 word7 word8 word9 word10 word11": ["plain.md"],
    }


async def test_a_document_gives_a_few_questions_always_the_same_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library({"k2": [piece(f"Part {n}") for n in range(9)], "long": [piece("x" * 400)]})
    made = await library.make(monkeypatch)
    of_k2 = [text for text, keys in made.items() if keys == ["k2.md"]]
    assert len(of_k2) == 4
    assert await library.make(monkeypatch) == made
    assert [len(text) for text, keys in made.items() if keys == ["long.md"]] == [300]


@pytest.mark.parametrize(("documents", "asked", "last"), [(0, 0, None), (99, 99, 98), (150, 100, 99), (1000, 100, 990)])
async def test_questions_come_from_all_over_a_store_and_are_a_hundred_at_most(
    monkeypatch: pytest.MonkeyPatch, documents: int, asked: int, last: int | None
) -> None:
    library = Library({f"{n}": [piece(f"Heading {n} > {part}") for part in range(3)] for n in range(documents)})
    made = await library.make(monkeypatch)
    assert len(library.asked) == len(made) == asked
    assert library.asked[-1:] == ([] if last is None else [str(last)])


def record(id: int, query: str | None, *documents: str, store: str = "vs_1", cited: bool = True) -> Any:
    passages = [SimpleNamespace(cited=cited, vector_store_id=store, document_id=one) for one in documents]
    search = None if query is None else SimpleNamespace(queries=[] if query == "" else ["as it was asked", query])
    return SimpleNamespace(id=f"answer-{id}", search=search, passages=passages)


async def find(monkeypatch: pytest.MonkeyPatch, records: list[Any]) -> list[tuple[str, list[str]]]:
    async def list_citing_records(_session: Any, tenant: str, limit: int, after: str | None) -> list[Any]:
        assert tenant == "kestrel"
        start = 0 if after is None else [one.id for one in records].index(after) + 1
        return records[start : start + limit]

    monkeypatch.setattr(past_questions, "DocumentRepository", lambda *_: Library({"a": [], "b": []}))
    monkeypatch.setattr(past_questions, "list_citing_records", list_citing_records)
    return await find_past_questions(DATABASE, STORE)


async def test_past_questions_are_those_whose_answers_cite_what_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        record(1, "How long?", "b", "a", "b"),
        record(2, "How long?", "a"),  # an older answer to the same question
        record(3, "And this?", "gone"),
        record(4, "And that?", "gone", "b"),
        record(5, "Elsewhere?", "a", store="vs_2"),
        record(6, "Not cited?", "a", cited=False),
        record(7, None, "a"),
        record(8, "", "a"),
    ]
    assert await find(monkeypatch, records) == [("How long?", ["a.md", "b.md"]), ("And that?", ["b.md"])]


@pytest.mark.parametrize(("fruitless", "found"), [(0, 100), (150, 100), (1990, 10), (2000, 0)])
async def test_past_questions_are_a_hundred_at_most_and_records_are_read_page_by_page(
    monkeypatch: pytest.MonkeyPatch, fruitless: int, found: int
) -> None:
    records = [record(n, f"Lost {n}?", "gone") for n in range(fruitless)]
    records += [record(fruitless + n, f"Question {n}?", "a") for n in range(130)]
    questions = await find(monkeypatch, records)
    assert [text for text, _ in questions] == [f"Question {n}?" for n in range(found)]


@pytest.mark.parametrize(
    ("error", "code", "seconds"),
    [
        (RetrieverBusy("x"), "retriever_busy", 1),
        (RetrieverUnavailable("x"), "retriever_unavailable", 2),
        (RetrieverFailed("x"), "retriever_unavailable", 2),
        (IndexChanged("The store's points are in another index."), "index_changed", 30),
    ],
)
def test_what_the_retriever_cannot_do_now_is_told_with_the_time_to_wait(
    error: Exception, code: str, seconds: int
) -> None:
    with pytest.raises(Unavailable) as raised, explain_retriever_errors(["vs_1"]):
        raise error
    assert (raised.value.code, raised.value.headers) == (code, {"retry-after": str(seconds)})
    assert str(error) not in raised.value.message or code == "index_changed"


def test_a_filter_that_is_none_is_the_clients_fault() -> None:
    with pytest.raises(BadRequest) as raised, explain_retriever_errors(["vs_1"]):
        raise InvalidFilter("no such operator")
    assert (raised.value.code, raised.value.param, raised.value.message) == (
        *("invalid_filter", "filters"),
        "no such operator",
    )
    with pytest.raises(BadRequest) as raised:
        check_filters({"type": "near"}, param="retrieval.filters")
    assert raised.value.param == "retrieval.filters"
