"""Training and questions are disjoint: nothing seen in training answers what is asked afterwards."""

import re

import pytest

from gateway.demo import DemoTenant, make_tenants
from tests.gateway.demo.document_text import plain, words

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)
COUNT = 128
N = 8


def grams(text: str) -> set[tuple[str, ...]]:
    sequence = words(text)
    return {tuple(sequence[i : i + N]) for i in range(len(sequence) - N + 1)}


def row_sentences(text: str) -> set[str]:
    return {" ".join(words(part)) for part in re.split(r"(?<=[.!?])\s+|\n", text) if len(words(part)) > 3}


@TENANTS
def test_no_question_is_shared(tenant: DemoTenant) -> None:
    trained = {" ".join(words(row.messages[0].content)) for row in tenant.list_conversations(COUNT)}
    held_out = {" ".join(words(text)) for text in [*(q.question for q in tenant.questions), tenant.edit.question]}
    assert len(held_out) == len(tenant.questions) + 1
    assert not trained & held_out
    trained_grams = set().union(*(grams(text) for text in trained))
    assert not trained_grams & set().union(*(grams(text) for text in held_out))


@TENANTS
def test_no_wording_is_shared_between_training_passages_and_documents(tenant: DemoTenant) -> None:
    documents = [plain(tenant, document) for document in tenant.documents]
    document_grams = set().union(*map(grams, documents))
    document_sentences = set().union(*map(row_sentences, documents))
    for row in tenant.list_conversations(COUNT):
        for passage in row.braid.passages:
            assert not grams(passage.text) & document_grams, passage.text
            assert not row_sentences(passage.text) & document_sentences, passage.text


@TENANTS
def test_no_entity_is_shared(tenant: DemoTenant) -> None:
    seen = "\n".join(
        [f"{row.messages[0].content}\n{row.messages[1].content}" for row in tenant.list_conversations(COUNT)]
        + [f"{p.title}\n{p.text}" for row in tenant.list_conversations(COUNT) for p in row.braid.passages]
    )
    for question in tenant.questions:
        assert not re.search(rf"\b{re.escape(question.entity)}\b", seen, re.IGNORECASE), question.entity


@TENANTS
def test_no_training_name_is_in_the_documents(tenant: DemoTenant) -> None:
    documents = "\n".join(plain(tenant, document) for document in tenant.documents)
    questions = "\n".join(question.question for question in tenant.questions)
    names = {
        name
        for row in tenant.list_conversations(COUNT)
        for name in re.findall(r"(?<!^)(?<![.!?\n] )\b[A-Z]\w+(?: [A-Z0-9]\w*)*", row.messages[0].content)
        if name not in {"What", "When"}
    }
    assert len(names) > 15
    for name in names - {"Sunday", "Welsh", "Danish"}:
        assert not re.search(rf"\b{re.escape(name)}\b", documents + questions), name
