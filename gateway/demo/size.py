"""Sizes of the demo: the amount of everything, and the promises that such an amount can keep."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.demo.tenants import DemoDocument, DemoQuestion, DemoTenant, UnansweredQuestion

__all__ = ["FULL", "SIZES", "SMALL", "DemoSize", "Promises"]


@dataclass(frozen=True, slots=True)
class Promises:
    """The least that "both" strands together reach; a smaller demo can promise less.

    Attributes:
        style: Mean share of style rules met.
        facts: Share of answers with the right value.
        cited: Share of answers that cite the right document, and no other.
        no_worse_than_parts: Whether style is no lower than with style alone, and facts no lower than with facts alone.
    """

    style: float
    facts: float
    cited: float
    no_worse_than_parts: bool


@dataclass(frozen=True, slots=True)
class DemoSize:
    """One size of the demo.

    Attributes:
        name: What `braid demo --size` calls it.
        tenants: How many of the tenants take part; the first one's fact is edited and its adapter swapped.
        training_rows: Conversations that each tenant's adapter is trained on.
        validation_rows: Conversations after those, on which the loss is measured.
        epochs: Passes over the training rows.
        batch_size: Rows per optimizer step.
        questions: Held-out questions per tenant.
        unanswered: Questions per tenant that the documents don't answer.
        timed_questions: How many of the held-out ones are asked while nothing else runs, so that times mean something.
        all_documents: Whether every document is indexed, or only those that the questions are about.
    """

    name: str
    tenants: int
    training_rows: int
    validation_rows: int
    epochs: int
    batch_size: int
    questions: int
    unanswered: int
    timed_questions: int
    all_documents: bool
    promises: Promises

    def pick_questions(self, tenant: DemoTenant) -> Sequence[DemoQuestion]:
        return tenant.questions[: self.questions]

    def pick_unanswered(self, tenant: DemoTenant) -> Sequence[UnansweredQuestion]:
        return tenant.unanswered[: self.unanswered]

    def pick_documents(self, tenant: DemoTenant) -> Sequence[DemoDocument]:
        if self.all_documents:
            return tenant.documents
        keys = {tenant.edit.document, *(question.document for question in self.pick_questions(tenant))}
        return [document for document in tenant.documents if document.key in keys]


FULL = DemoSize(
    name="full",
    tenants=2,
    training_rows=128,
    validation_rows=12,
    epochs=1,
    batch_size=1,
    questions=16,
    unanswered=4,
    timed_questions=2,
    all_documents=True,
    promises=Promises(style=0.95, facts=0.9, cited=0.85, no_worse_than_parts=True),
)
"""The demo as people see it; `make demo`, and a check before a release."""

SMALL = DemoSize(
    name="small",
    tenants=1,
    training_rows=32,
    validation_rows=12,
    epochs=1,
    batch_size=1,
    questions=4,
    unanswered=2,
    timed_questions=1,
    all_documents=False,
    promises=Promises(style=0.9, facts=0.25, cited=0.25, no_worse_than_parts=False),
)
"""The same steps in minutes, for continuous integration."""

SIZES = {size.name: size for size in (SMALL, FULL)}
