import pytest

from gateway.demo import DemoTenant, make_tenants
from gateway.evaluation import states
from tests.gateway.demo.document_text import paragraphs, plain

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)


def places(tenant: DemoTenant, quote: str) -> list[str]:
    """The key of the document of each time that the quote is found."""
    texts = {document.key: " ".join(plain(tenant, document).split()) for document in tenant.documents}
    return [key for key, text in texts.items() for _ in range(text.count(quote))]


@TENANTS
def test_there_are_at_least_twelve_with_ids_of_their_own(tenant: DemoTenant) -> None:
    assert len(tenant.questions) >= 12
    assert len({question.id for question in tenant.questions}) == len(tenant.questions)


@TENANTS
def test_each_answer_is_in_its_document_exactly_once(tenant: DemoTenant) -> None:
    for question in tenant.questions:
        assert places(tenant, question.quote) == [question.document], question.id
        assert any(states(question.quote, value) for value in question.accepted), question.id


@TENANTS
def test_the_paragraph_that_answers_has_the_value_once(tenant: DemoTenant) -> None:
    for question in tenant.questions:
        document = next(d for d in tenant.documents if d.key == question.document)
        [home] = [p for p in paragraphs(plain(tenant, document)) if question.quote in p]
        assert (
            home.count(question.accepted[0].split()[-1] if " " not in question.accepted[0] else question.accepted[0])
            == 1
        )


@TENANTS
def test_what_has_no_answer_is_in_no_document_and_in_no_training_row(tenant: DemoTenant) -> None:
    everything = "\n".join(plain(tenant, document) for document in tenant.documents).lower()
    trained = "\n".join(row.messages[0].content for row in tenant.list_conversations(128)).lower()
    assert len({question.id for question in tenant.unanswered}) == len(tenant.unanswered) >= 4
    for question in tenant.unanswered:
        assert question.entity in question.question
        assert question.entity.lower() not in everything + trained, question.id
        assert any(states(row.messages[1].content, question.accepted[0]) for row in tenant.list_conversations(48)), (
            "its voice says so in other words"
        )


@TENANTS
def test_near_misses_are_real_and_wrong(tenant: DemoTenant) -> None:
    everything = "\n".join(plain(tenant, document) for document in tenant.documents)
    for question in tenant.questions:
        assert question.wrong
        assert any(states(everything, value) for value in question.wrong), question.id
        for value in question.wrong:
            assert not any(states(right, value) or states(value, right) for right in question.accepted), question.id


@TENANTS
def test_questions_come_from_every_format(tenant: DemoTenant) -> None:
    assert {question.document.rsplit(".", 1)[1] for question in tenant.questions} == {"md", "html", "pdf"}
    assert len({question.document for question in tenant.questions}) >= 10


@TENANTS
def test_a_question_does_not_give_its_answer_away(tenant: DemoTenant) -> None:
    for question in tenant.questions:
        for value in [*question.accepted, *question.wrong]:
            assert not states(question.question, value), question.id


@TENANTS
def test_the_edit_changes_one_fact_that_is_stated_once(tenant: DemoTenant) -> None:
    edit = tenant.edit
    assert places(tenant, edit.old_text) == [edit.document]
    assert states(edit.old_text, edit.old_value)
    assert states(edit.new_text, edit.new_value)
    assert not states(edit.new_text, edit.old_value)
    everything = "\n".join(plain(tenant, document) for document in tenant.documents)
    assert not states(everything, edit.new_value)


@TENANTS
def test_the_edit_applies_once(tenant: DemoTenant) -> None:
    document = next(d for d in tenant.documents if d.key == tenant.edit.document)
    edited = tenant.edit.apply(document.read())
    assert tenant.edit.new_text in edited.decode()
    assert tenant.edit.old_text not in edited.decode()
    assert len(edited) == len(document.read())
    with pytest.raises(ValueError, match="edited before"):
        tenant.edit.apply(edited)
