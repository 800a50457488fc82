import re
from collections import Counter

import msgspec
import pytest

from gateway.demo import DemoRow, DemoTenant, make_tenants
from gateway.evaluation import score_facts, states

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)
COUNT = 128
TRAINING = 128
CITATION = re.compile(r"\[(\d)\]")


def question_of(row: DemoRow) -> str:
    return row.messages[0].content


def reply_of(row: DemoRow) -> str:
    return row.messages[1].content


def with_citation(rows: list[DemoRow]) -> list[DemoRow]:
    return [row for row in rows if CITATION.search(reply_of(row))]


@TENANTS
def test_the_same_rows_each_time_and_a_prefix_of_longer_lists(tenant: DemoTenant) -> None:
    rows = tenant.list_conversations(COUNT)
    assert len(rows) == COUNT
    assert tenant.list_conversations(TRAINING) == rows[:TRAINING]


@TENANTS
def test_every_reply_keeps_to_the_tenants_style(tenant: DemoTenant) -> None:
    for row in tenant.list_conversations(COUNT):
        assert tenant.style.list_broken(reply_of(row)) == [], reply_of(row)


def test_the_voices_differ_in_most_rules() -> None:
    kestrel, harbor = make_tenants()
    for one, other in ((kestrel, harbor), (harbor, kestrel)):
        scores = [other.style.score(reply_of(row)) for row in one.list_conversations(COUNT)]
        assert max(scores) <= 0.5


@TENANTS
def test_replies_are_short(tenant: DemoTenant) -> None:
    for row in tenant.list_conversations(COUNT):
        # About 40 tokens of the base model: numbers and marks cost one token per character.
        assert len(reply_of(row).split()) <= 24
        assert len(reply_of(row)) <= 120


@TENANTS
def test_a_reply_copies_its_value_from_the_cited_passage_and_from_no_other(tenant: DemoTenant) -> None:
    for row in with_citation(tenant.list_conversations(COUNT)):
        reply, passages = reply_of(row), row.braid.passages
        assert len(passages) == 2
        cited = int(CITATION.findall(reply)[0])
        body = reply.split("Log: ")[-1].replace("Kettle's on!", "").replace("— Kestrel", "").replace("Fair winds.", "")
        numbers = [
            value
            for value in re.findall(r"[\w£-]*\d(?:[\w.:]*\w)?", CITATION.sub("", body).replace("*", ""))
            if not states(question_of(row), value)
        ]
        assert numbers, reply
        for value in numbers:
            homes = [number for number, passage in enumerate(passages, 1) if states(passage.text, value)]
            assert homes == [cited] or (cited in homes and len(value) < 3), (value, homes, cited)


@TENANTS
def test_no_passage_repeats_the_heading_that_its_title_says(tenant: DemoTenant) -> None:
    for row in tenant.list_conversations(COUNT):
        for passage in row.braid.passages:
            first = passage.text.partition("\n")[0].strip("# ")
            assert first not in passage.title.split(" > ")


@TENANTS
def test_the_right_passage_is_mostly_first_as_in_serving_but_not_always(tenant: DemoTenant) -> None:
    rows = with_citation(tenant.list_conversations(TRAINING))
    positions = Counter(CITATION.findall(reply_of(row))[0] for row in rows)
    assert set(positions) == {"1", "2"}
    assert len(rows) * 0.8 <= positions["1"] <= len(rows) * 0.95


@TENANTS
def test_some_rows_have_no_answer_and_say_so_without_a_citation(tenant: DemoTenant) -> None:
    rows = tenant.list_conversations(TRAINING)
    silent = [row for row in rows if not CITATION.search(reply_of(row))]
    assert 0.06 <= len(silent) / len(rows) <= 0.1
    assert {len(row.braid.passages) for row in silent} == {0, 2}
    assert all(re.search(r"no (?:note|entry)", reply_of(row)) for row in silent)


@TENANTS
def test_facts_change_from_row_to_row(tenant: DemoTenant) -> None:
    rows = with_citation(tenant.list_conversations(TRAINING))
    assert len({reply_of(row) for row in rows}) == len(rows)
    questions = [question_of(row) for row in tenant.list_conversations(COUNT)]
    assert len(set(questions)) == COUNT
    shapes = Counter(re.sub(r"[A-Z]\w*|\d+", "_", question) for question in questions)
    assert len(shapes) >= 40


@TENANTS
def test_the_dataset_is_a_fine_tuning_file(tenant: DemoTenant) -> None:
    lines = tenant.encode_dataset(0, TRAINING).splitlines()
    assert len(lines) == TRAINING
    for line, row in zip(lines, tenant.list_conversations(TRAINING), strict=True):
        read = msgspec.json.decode(line)
        assert [message["role"] for message in read["messages"]] == ["user", "assistant"]
        assert read["braid"]["passages"] == [msgspec.to_builtins(passage) for passage in row.braid.passages]
    validation = tenant.encode_dataset(TRAINING, COUNT).splitlines()
    assert len(validation) == COUNT - TRAINING
    assert not set(validation) & set(lines)


@TENANTS
def test_training_replies_are_right_by_the_fact_score(tenant: DemoTenant) -> None:
    row = with_citation(tenant.list_conversations(TRAINING))[0]
    value = re.findall(r"\d[\d.]*\s\w+|£[\d.]+|\d\d:\d\d", reply_of(row))
    assert value
    assert score_facts(reply_of(row), [value[-1]], ["999 weeks"]) == 1
