from collections import Counter

import pytest

from gateway.conversations import Conversation
from gateway.conversations.facts_lint import FactsLint, describe_facts
from gateway.conversations.findings import CLASSES
from gateway.evaluation.values import find_values
from tests.gateway.conversations.planted_facts import NEGATIVES, Planted, PlantedIndex, plant, plant_chinese
from training.dataset import Message, RowPassage


def make(reply: str, question: str = "How long is the warranty?", *passages: str) -> Conversation:
    messages = [Message("user", question), Message("assistant", reply)]
    return Conversation(1, messages, passages=[RowPassage("", text) for text in passages] or None)


async def classify(index: PlantedIndex, conversation: Conversation) -> dict[str, str]:
    return {fact.text: fact.place for fact in await FactsLint(index).classify(conversation)}


@pytest.mark.parametrize(("planted", "index"), [plant(200), plant_chinese(60)], ids=["english", "chinese"])
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
    figures = {place: (right[place] / named[place], right[place] / expected[place]) for place in CLASSES}
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


async def test_replies_that_are_not_learnt_are_evidence() -> None:
    turns = [Message("user", "How long?"), Message("assistant", "24 months.", weight=0), Message("user", "Sure?")]
    row = Conversation(1, [*turns, Message("assistant", "Yes, 24 months.")])
    assert await classify(PlantedIndex(), row) == {"24 months": "evidence"}


async def test_without_an_index_values_are_in_the_row_or_nowhere() -> None:
    facts = await FactsLint().classify(make("24 months, until 2 Feb 2026.", "Is it 24 months?"))
    assert [(fact.text, fact.place) for fact in facts] == [("24 months", "evidence"), ("2 Feb 2026", "nowhere")]
