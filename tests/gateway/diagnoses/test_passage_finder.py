"""Where the passage of a failure is, and the first rule that kept it out of the prompt."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.assistants.release import Boost, RetrievalSpec
from gateway.diagnoses import passage_finder
from gateway.diagnoses.answer_judge import ExpectedFacts, find_expected
from gateway.diagnoses.cases import Case
from gateway.diagnoses.passage_finder import PassageFinder, PassagePlace, cover_facts
from retrieval.messages import Passage

QUESTION = "How long is the warranty of the kettle?"
CASE = Case(id="1", messages=[Message("user", QUESTION)], expected=["24 months"], reference="It is 24 months.")
SPEC = RetrievalSpec(("vs_1",), top_k=2)


def passage(id: str, text: str, score: float = 0.8) -> Passage:
    place: dict[str, Any] = {"store": "vs_1", "document": f"doc-{id}", "key": f"{id}.md", "version": 1, "file_id": id}
    return Passage(
        id=id, filename=f"{id}.md", text=text, start=0, end=len(text), heading="", score=score, attributes={}, **place
    )


RIGHT = passage("right", "The warranty of the kettle is 24 months.", 0.4)
OTHERS = [passage(f"other-{n}", f"The warranty of the kettle has {n} pages of terms.") for n in range(9)]
STRANGER = passage("stranger", "A subscription of the magazine runs for 24 months.")


class Stores:
    """What searches find: the release's own, a plain one, and by filters or by the expected values."""

    def __init__(self, release: Evidence, wide: Sequence[Passage], **more: Any) -> None:
        self.release = release
        self.wide = list(wide)
        self.queries: list[str] = more.get("queries", [QUESTION])
        self.by_filters: list[Passage] = more.get("by_filters", self.wide)
        self.by_value: list[Passage] = more.get("by_value", self.wide)
        self.documents: dict[str, str] = more.get("documents", {})
        self.used: Sequence[int] | None = more.get("used")

    def read(self) -> nullcontext[None]:
        return nullcontext()

    async def find(self, _target: Target, _case: Case) -> tuple[Evidence, list[str]]:
        return self.release, self.queries

    async def search(self, *asked: Any, limit: int, filters: Any) -> list[Passage]:
        assert limit == 50
        if filters:
            return self.by_filters
        return self.wide if asked[-1] == [QUESTION] else self.by_value

    async def read_states(self, *_: Any) -> Any:
        return {}

    async def read_present(self, _states: Any, _store: str, document: str) -> str:
        return self.documents.get(document, "")

    async def list_used(self, _case: Case, evidence: Evidence) -> Sequence[int]:
        return range(1, len(evidence.passages) + 1) if self.used is None else self.used


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Any:
    async def find(stores: Stores, spec: RetrievalSpec | None = SPEC, case: Case = CASE) -> PassagePlace:
        anything: Any = stores
        monkeypatch.setattr(passage_finder, "search", stores.search)
        monkeypatch.setattr(passage_finder, "read_states", stores.read_states)
        target = Target("base", retrieval=spec)
        finder = PassageFinder(anything, anything, anything, anything, "kestrel", target)
        monkeypatch.setattr(finder._texts, "read_present", stores.read_present)  # pyright: ignore[reportPrivateUsage]
        return await finder.find(case, find_expected(case), stores.list_used)

    return find


def found(*passages: Passage, **more: Any) -> Evidence:
    return Evidence(more.pop("status", "found"), passages, {"vs_1": 3}, **more)


@pytest.mark.parametrize("crowded", [True, False])
async def test_a_passage_in_the_prompt_is_not_missing(find: Any, crowded: bool) -> None:
    evidence = found(OTHERS[0], RIGHT) if crowded else found(RIGHT)
    place = await find(Stores(evidence, [RIGHT, *OTHERS]))
    assert (place.missing, place.cause, place.passages) == (None, "", (RIGHT,))
    assert (place.rank, place.crowded, place.tentative) == (2 if crowded else 1, crowded, False)


async def test_a_passage_that_did_not_fit_into_the_prompt_is_the_contexts(find: Any) -> None:
    place = await find(Stores(found(OTHERS[0], RIGHT, probability=0.7), [RIGHT], used=[1]))
    assert (place.missing, place.cause, place.rank, place.probability) == ("retrieval", "context", 2, 0.7)


BOOSTED = replace(SPEC, boosts=(Boost("area", 0.2, "north"),))
FILTERED = replace(SPEC, filters={"type": "eq", "key": "a", "value": "b"})
LATE = [*OTHERS[:4], RIGHT]


@pytest.mark.parametrize(
    ("cause", "spec", "stores"),
    [
        ("limit", SPEC, Stores(found(*OTHERS[:2]), LATE)),
        ("limit", SPEC, Stores(found(*OTHERS[:2]), [RIGHT, *OTHERS])),
        ("ranking_rules", BOOSTED, Stores(found(*OTHERS[:2]), [RIGHT, *OTHERS])),
        ("ranking_rules", replace(SPEC, max_per_document=1), Stores(found(*OTHERS[:2]), [RIGHT, *OTHERS])),
        ("ranking_rules", replace(SPEC, collapse_duplicates=True), Stores(found(*OTHERS[:2]), [RIGHT, *OTHERS])),
        ("ranking_rules", replace(SPEC, rerank=True), Stores(found(*OTHERS[:2]), [RIGHT, *OTHERS])),
        ("filters", FILTERED, Stores(found(*OTHERS[:2]), LATE, by_filters=OTHERS[:4])),
        ("limit", FILTERED, Stores(found(*OTHERS[:2]), LATE)),
        ("search_decision", FILTERED, Stores(found(status="skipped"), LATE, queries=[], by_filters=[])),
        ("score_threshold", replace(SPEC, score_threshold=0.41), Stores(found(*OTHERS[:2]), LATE)),
        ("limit", replace(SPEC, score_threshold=0.4), Stores(found(*OTHERS[:2]), LATE)),
        ("abstention", SPEC, Stores(found(status="nothing_likely", probability=0.1), LATE)),
    ],
)
async def test_the_first_rule_that_keeps_a_passage_out_is_its_cause(
    find: Any, cause: str, spec: RetrievalSpec, stores: Stores
) -> None:
    place = await find(stores, spec)
    assert (place.missing, place.cause, place.passages) == ("retrieval", cause, (RIGHT,))
    ranks = [at for at, one in enumerate(stores.by_filters if spec is FILTERED else stores.wide, 1) if one is RIGHT]
    assert place.rank == (ranks[0] if ranks else None)
    assert place.probability == stores.release.probability


async def test_a_requests_own_filters_keep_passages_out_as_the_releases_do(find: Any) -> None:
    case = replace(CASE, filters={"type": "eq", "key": "a", "value": "b"})
    assert (await find(Stores(found(), LATE, by_filters=[]), SPEC, case)).cause == "filters"


async def test_what_only_the_expected_words_find_is_rankings_and_tentative(find: Any) -> None:
    place = await find(Stores(found(OTHERS[0]), OTHERS, by_value=[RIGHT]))
    assert (place.missing, place.cause, place.passages, place.tentative) == ("retrieval", "ranking", (RIGHT,), True)


async def test_a_document_that_states_it_across_passages_is_chunkings(find: Any) -> None:
    text = "Preface. " * 200 + "The warranty of the kettle is one of 24 months."
    place = await find(Stores(found(OTHERS[0]), OTHERS, documents={"doc-other-3": text}))
    assert (place.missing, place.cause, place.tentative) == ("retrieval", "chunking", True)
    (piece,) = place.passages
    assert (piece.document, piece.id) == ("doc-other-3", "whole-doc-other-3")
    assert "24 months" in piece.text
    assert len(piece.text) <= 1200


@pytest.mark.parametrize("text", ["", "The magazine runs for 24 months."])
async def test_what_no_document_about_it_states_is_missing_and_told_by_the_reference(find: Any, text: str) -> None:
    documents = {one.document: text for one in OTHERS}
    place = await find(Stores(found(OTHERS[0]), [*OTHERS, STRANGER], documents=documents))
    assert (place.missing, place.cause, place.rank) == ("documents", "missing", None)
    (note,) = place.passages
    assert (note.text, note.document) == (f"{QUESTION}\nIt is 24 months.", "")
    assert place.isolate().passages == (note,)
    assert not place.tentative


async def test_without_stores_or_expectations_nothing_is_searched(find: Any) -> None:
    bare = await find(Stores(found(), []), None)
    assert (bare.missing, bare.cause, [one.id for one in bare.passages]) == ("documents", "no_stores", ["reference"])
    unknown = await find(Stores(found(RIGHT), [RIGHT]), SPEC, replace(CASE, expected=[], reference=""))
    assert (unknown.missing, unknown.cause, unknown.passages) == (None, "", ())


def test_passages_that_are_put_in_come_first_and_the_prompt_stays_as_full() -> None:
    place = PassagePlace(found(*OTHERS[:3], RIGHT), "retrieval", "limit", (RIGHT,))
    assert place.fill(3).passages == (RIGHT, *OTHERS[:2])
    assert place.fill(9).passages == (RIGHT, *OTHERS[:3])
    assert replace(place, passages=(RIGHT, OTHERS[8])).fill(1).passages == (RIGHT, OTHERS[8])
    assert place.isolate() == found(RIGHT)
    assert place.tell() == found()


def expect(*texts: str) -> ExpectedFacts:
    return find_expected(replace(CASE, expected=list(texts)))


def test_the_fewest_passages_that_state_all_facts_together_are_taken() -> None:
    one = passage("one", "The warranty of the kettle is 24 months.")
    two = passage("two", "The kettle has a weight of 900 grams.")
    both = passage("both", "The kettle: warranty 24 months, 900 grams.")
    facts = expect("24 months", "900 grams")
    assert cover_facts(QUESTION, facts, [], [one, two, both]) == (both,)
    assert cover_facts(QUESTION, facts, [], [two, one], share=0.1) == (one, two)
    assert cover_facts(QUESTION, facts, [], [one]) == ()
    assert cover_facts(QUESTION, facts, [], []) == ()


def test_a_number_in_a_file_name_is_no_fact() -> None:
    page = replace(passage("24", "The warranty of the kettle is 36 months."), key="page-24.md", filename="page-24.md")
    assert cover_facts(QUESTION, expect("24 months"), [], [page]) == ()
    assert cover_facts(QUESTION, expect("36 months"), [], [page]) == (page,)


def test_a_passage_about_something_else_states_nothing_by_chance() -> None:
    assert cover_facts(QUESTION, expect("24 months"), OTHERS, [STRANGER]) == ()
    assert cover_facts(QUESTION, expect("24 months"), OTHERS, [STRANGER, RIGHT]) == (RIGHT,)
    near = passage("near", "The warranty of the toaster is 24 months.")
    pool = [*OTHERS, passage("best", "The warranty of the kettle of the shop.")]
    assert cover_facts(QUESTION, expect("24 months"), pool, [near], share=0.9) == ()
    assert cover_facts(QUESTION, expect("24 months"), pool, [near], share=0.25) == (near,)


def test_capitals_of_a_question_are_no_other_words_and_rare_words_weigh_more() -> None:
    loud = "HOW LONG IS THE WARRANTY OF THE KETTLE?"
    assert cover_facts(loud, expect("24 months"), OTHERS, [STRANGER, RIGHT]) == (RIGHT,)
    common = [passage(f"w{n}", "A warranty is a warranty, and may take 24 months.") for n in range(8)]
    rare = passage("rare", "The kettle has 24 months.")
    assert cover_facts(QUESTION, expect("24 months"), common, [common[0], rare], share=0.1) == (rare,)
