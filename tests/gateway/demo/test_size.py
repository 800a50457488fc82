import pytest

from gateway.demo import DemoTenant, make_tenants
from gateway.demo.size import FULL, SIZES, SMALL, DemoSize

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)


def test_sizes_are_found_by_name() -> None:
    assert {name: size.name for name, size in SIZES.items()} == {"small": "small", "full": "full"}


@TENANTS
def test_the_full_demo_takes_everything(tenant: DemoTenant) -> None:
    assert FULL.pick_documents(tenant) == tenant.documents
    assert list(FULL.pick_questions(tenant)) == tenant.questions


@TENANTS
def test_the_small_demo_takes_the_documents_that_its_questions_are_about(tenant: DemoTenant) -> None:
    questions, documents = SMALL.pick_questions(tenant), SMALL.pick_documents(tenant)
    assert 1 <= SMALL.timed_questions <= len(questions) == SMALL.questions
    assert {document.key for document in documents} == {
        tenant.edit.document,
        *(question.document for question in questions),
    }


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_no_size_asks_for_more_than_there_is(size: DemoSize) -> None:
    for tenant in make_tenants():
        assert size.questions <= len(tenant.questions)
        rows = size.training_rows + size.validation_rows
        assert len(tenant.list_conversations(rows)) == rows
