from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from gateway.conversations import Conversation
from gateway.conversations.deleted_facts import DeletedPieces, DeletedText, DeletedTexts
from gateway.conversations.facts_lint import DocumentPassage, FactsLint, describe_facts
from gateway.conversations.findings import FactClass, RowFact
from gateway.evaluation.values import find_values
from tests.gateway.conversations.planted_facts import NEGATIVES, Planted, PlantedIndex, plant, plant_chinese
from training.dataset import Message, RowPassage


def make(reply: str, question: str = "How long is the warranty?", *passages: str) -> Conversation:
    messages = [Message("user", question), Message("assistant", reply)]
    return Conversation(1, messages, passages=[RowPassage("", text) for text in passages] or None)


async def classify(index: PlantedIndex, conversation: Conversation) -> dict[str, str]:
    return {fact.text: fact.place for fact in await FactsLint(index).classify(conversation)}


@pytest.mark.parametrize(
    ("planted", "index"),
    [plant(200), plant_chinese(60), plant(200, deletes=True)],
    ids=["english", "chinese", "deleted"],
)
async def test_planted_facts_are_found_in_their_classes(planted: list[Planted], index: PlantedIndex) -> None:
    lint = FactsLint(index)
    right: Counter[str] = Counter()
    named: Counter[str] = Counter()
    wrong: list[object] = []
    for one in planted:
        for fact in await lint.classify(one.conversation):
            named[fact.place] += 1
            if any(one.expected.get(reading) == fact.place for reading in fact.readings):
                right[fact.place] += 1
            else:
                wrong.append((fact.row, fact.text, fact.place, one.expected))
    expected = Counter(place for one in planted for place in one.expected.values())
    assert sum(expected.values()) == len(planted)
    figures = {place: (right[place] / named[place], right[place] / expected[place]) for place in get_args(FactClass)}
    assert all(precision >= 0.95 and recall >= 0.8 for precision, recall in figures.values()), (figures, wrong)


@pytest.mark.parametrize("text", NEGATIVES)
def test_numbers_that_say_no_fact_are_none(text: str) -> None:
    assert find_values(text) == []


async def test_the_question_and_the_rows_passages_are_evidence() -> None:
    row = make("Your K2 has 24 months.", "How long for the K2?", "The warranty is two years.")
    assert await classify(PlantedIndex(), row) == {"K2": "evidence", "24 months": "evidence"}


async def test_a_value_that_only_another_products_document_has_is_nowhere() -> None:
    index = PlantedIndex()
    index.versions = {
        "kettle": ["The warranty of the kettle is 24 months."],
        "lamp": ["The warranty of the lamp is 36 months."],
    }
    row = make("The warranty of the kettle is 36 months.", "How long is the warranty of the kettle?")
    assert await classify(index, row) == {"36 months": "nowhere"}


@pytest.mark.parametrize(
    ("version", "reply", "places"),
    [
        ("The cable of the kettle is 2 m.", "The cable of the kettle is 200 cm.", {"200 cm": "index"}),
        ("The kettle weighs 1.5 kg.", "The kettle weighs 1500 g.", {"1500 g": "index"}),
        ("The kettle weighs 1.5 kg.", "The kettle weighs 150 g.", {"150 g": "nowhere"}),
        ("The kettle is on for 90 minutes.", "The kettle is on for 1 h 30 min.", {"1 h": "index", "30 min": "index"}),
    ],
)
async def test_a_value_that_a_document_has_in_another_unit_is_in_it(
    version: str, reply: str, places: dict[str, str]
) -> None:
    index = PlantedIndex()
    index.versions = {"kettle": [version], "lamp": ["The lamp is 15 cm high."]}
    row = make(reply, "What is it of the kettle?")
    assert await classify(index, row) == places
    changed = "changed" if "index" in places.values() else "nowhere"
    index.versions["kettle"].append("The kettle is new.")
    assert await classify(index, row) == dict.fromkeys(places, changed)


async def test_a_changed_value_names_the_version_that_had_it() -> None:
    index = PlantedIndex()
    index.versions = {"kettle": [f"The warranty of the kettle is {months} months." for months in (12, 24, 36)]}
    index.versions["lamp"] = ["The price of the lamp is 49 pounds."]
    row = make("The warranty of the kettle is 24 months.", "How long is the warranty of the kettle?")
    (fact,) = await FactsLint(index).classify(row)
    assert (fact.place, fact.key, fact.version, fact.stated) == ("changed", "kettle", 3, 2)
    assert fact.passage == "The warranty of the kettle is 36 months."
    (finding,) = describe_facts([fact])
    assert (finding.check, finding.level, finding.rows) == ("facts_changed", "error", [1])


DELETED = {
    "kettle": "# Kettle\n\nThe warranty of the kettle is 24 months.",
    "lamp": "The lamp has 36 months of warranty.",
}


async def test_a_deleted_documents_value_is_changed_and_named_with_the_time() -> None:
    index = PlantedIndex()
    index.versions = {"grill": ["The warranty of the grill is 12 months."]}
    index.deleted = DELETED
    row = make("The warranty of the kettle is 24 months.", "How long is the warranty of the kettle?")
    (fact,) = await FactsLint(index).classify(row)
    assert (fact.place, fact.key, fact.version, fact.stated, fact.passage) == ("changed", "kettle", 0, 1, "")
    (finding,) = describe_facts([fact])
    assert finding.level == "error"
    assert finding.message.endswith("'24 months' (row 1, kettle, deleted on 2026-09-21 at 14:13 UTC)")


@pytest.mark.parametrize(
    ("present", "place"),
    [
        ("The kettle has a warranty of 24 months.", "index"),
        ("The warranty of the kettle is 12 months, whatever kettle and warranty.", "changed"),
        ("Sold out.", "changed"),
    ],
)
async def test_what_a_deleted_document_said_counts_where_none_says_it_now(present: str, place: str) -> None:
    index = PlantedIndex()
    index.versions, index.deleted = {"shop": [present], "grill": ["A grill."]}, DELETED
    row = make("The warranty of the kettle is 24 months.", "How long is the warranty of the kettle?")
    assert await classify(index, row) == {"24 months": place}


async def test_an_amount_of_another_products_deleted_document_is_nowhere() -> None:
    index = PlantedIndex()
    index.versions = {"kettle": ["The warranty of the kettle is 12 months."], "grill": ["A grill."]}
    index.deleted = {"lamp": DELETED["lamp"]}
    row = make("The warranty of the kettle is 36 months.", "How long is the warranty of the kettle?")
    assert await classify(index, row) == {"36 months": "nowhere"}


class Successor(PlantedIndex):
    """A deleted document whose key has another one now, which no search finds."""

    async def search(self, texts: Sequence[str], limit: int) -> list[DocumentPassage]:
        return []

    async def read_deleted(self) -> DeletedTexts:
        deleted = await super().read_deleted()
        return DeletedTexts([replace(one, successor=("vs_1", one.key)) for one in deleted.texts])


@pytest.mark.parametrize(("present", "place"), [("24 months of warranty.", "nowhere"), ("No warranty.", "changed")])
async def test_what_the_document_under_the_same_key_still_says_was_not_taken_back(present: str, place: str) -> None:
    index = Successor()
    index.versions, index.deleted = {"kettle": [present]}, {"kettle": DELETED["kettle"]}
    row = make("The warranty of the kettle is 24 months.", "How long is the warranty of the kettle?")
    assert await classify(index, row) == {"24 months": place}


@pytest.mark.parametrize(("unread", "words"), [(2, "2 documents that were"), (1, "1 document that was")])
async def test_deleted_documents_of_which_nothing_is_kept_are_counted_where_values_stand_nowhere(
    unread: int, words: str
) -> None:
    index = PlantedIndex()
    index.unread = unread
    lint = FactsLint(index)
    facts = await lint.classify(make("The warranty of the kettle is 24 months."))
    (finding,) = describe_facts(facts, lint.unread)
    assert (finding.check, finding.details["unread_documents"]) == ("facts_nowhere", unread)
    assert f"Some may have stood in {words} deleted lately, of which nothing is kept" in finding.message


def test_a_deleted_text_is_cut_into_pieces_under_its_opening() -> None:
    lines = "\n".join(f"The part {number} weighs {number} kg." for number in range(100, 200))
    text = DeletedText("vs_1", "doc_1", "kettle", 1, 0, "kettle.md", f"# Kettle\n{lines}")
    (value,) = find_values("170 kg")
    (piece,) = DeletedPieces.of([text]).list_stating(value)
    assert piece.text.startswith("# Kettle\nThe part 1")
    assert len(piece.text) < 1_300


async def test_replies_that_are_not_learnt_are_evidence() -> None:
    turns = [Message("user", "How long?"), Message("assistant", "24 months.", weight=0), Message("user", "Sure?")]
    row = Conversation(1, [*turns, Message("assistant", "Yes, 24 months.")])
    assert await classify(PlantedIndex(), row) == {"24 months": "evidence"}


async def test_without_an_index_values_are_in_the_row_or_nowhere() -> None:
    facts = await FactsLint().classify(make("24 months, until 2 Feb 2026.", "Is it 24 months?"))
    assert [(fact.text, fact.place) for fact in facts] == [("24 months", "evidence"), ("2 Feb 2026", "nowhere")]


class Listener(PlantedIndex):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[Sequence[str]] = []
        self.rest = ""

    async def search(self, texts: Sequence[str], limit: int) -> list[DocumentPassage]:
        self.queries.append(texts)
        return await super().search(texts, limit)

    async def read_current(self, store: str, document: str) -> str:
        return f"{await super().read_current(store, document)} {self.rest}"


@pytest.mark.parametrize(
    ("versions", "rest", "place"),
    [
        (["The warranty of the kettle is 24 months.", "The warranty of the kettle ended."], "", "changed"),
        (["The warranty of the kettle is 24 months.", "The warranty of the kettle ended."], "24 months!", "nowhere"),
        (["The warranty of the kettle ended."], "", "nowhere"),
        (["The warranty of the kettle ended.", "The warranty of the kettle is 24 months."], "", "index"),
    ],
)
async def test_a_value_has_changed_where_no_passage_of_the_present_text_has_it(
    versions: list[str], rest: str, place: str
) -> None:
    index = Listener()
    index.versions, index.rest = {"kettle": versions, "lamp": ["It is blue."]}, rest
    row = make("The warranty of the kettle is 24 months.", "How long is the warranty of the kettle?")
    assert await classify(index, row) == {"24 months": place}


async def test_each_unknown_value_is_searched_for_with_the_sentence_around_it() -> None:
    index = Listener()
    reply = "We are sorry! The K2 has 24 months. Is it £49? It is.\nSend it by 2 Feb 2026 to us. It has 24 months."
    await FactsLint(index).classify(make(reply, "What of the K2?"))
    assert index.queries == [
        [
            "What of the K2?",
            "What of the K2? The K2 has 24 months",
            "What of the K2? Is it £49",
            "What of the K2? Send it by 2 Feb 2026 to us",
        ]
    ]
    many = " ".join(f"Item {n} has {n} months." for n in range(11, 20))
    await FactsLint(index).classify(make(many, "What?"))
    assert len(index.queries[1]) == 5, "the question and four sentences of a row are enough"


def test_a_finding_counts_its_values_by_kind_and_names_the_first_ones() -> None:
    def fact(row: int, kind: str, text: str, place: str) -> RowFact:
        return RowFact(row, kind, text, (f"{kind}:{text}",), place)  # type: ignore[arg-type]

    facts = [fact(1, "money", "£1", "nowhere"), *(fact(2, "quantity", f"{n} kg", "nowhere") for n in range(5))]
    facts += [fact(3, "date", "2 May", "evidence"), fact(4, "date", "3 May", "index")]
    indexed, nowhere, evidence = describe_facts(facts)
    assert [one.check for one in (indexed, nowhere, evidence)] == ["facts_index", "facts_nowhere", "facts_evidence"]
    assert [one.level for one in (indexed, nowhere, evidence)] == ["warning", "warning", "info"]
    assert (nowhere.rows, nowhere.details) == ([1, 2], {"kinds": {"money": 1, "quantity": 5}})
    assert nowhere.message.startswith("6 values stand neither in the row nor in a document")
    assert nowhere.message.endswith("'£1' (row 1), '0 kg' (row 2), '1 kg' (row 2), '2 kg' (row 2), '3 kg' (row 2)…")
    assert indexed.message.endswith("'3 May' (row 4)")
