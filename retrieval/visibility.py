"""The points that a call may touch. Every filter that reaches an engine is made here, and always names the tenant."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.errors import InvalidVisibility
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match, Not
from retrieval.messages import SearchQuery

__all__ = [
    "OPEN",
    "Visibility",
    "show_document",
    "show_documents",
    "show_store",
    "show_to_reader",
    "show_to_search",
]

OPEN = 2**53
"""`to` of a point that no later index epoch has closed: the largest integer that every engine's floats hold exactly."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """A tenant's points under a condition; index backends take nothing else.

    Raises:
        InvalidVisibility: The tenant is empty.
    """

    tenant: str
    within: Condition

    def __post_init__(self) -> None:
        if not self.tenant:
            raise InvalidVisibility(
                "The call names no tenant. Every read and write of the index belongs to one: name it."
            )

    @property
    def condition(self) -> Condition:
        return All((Match("tenant", (self.tenant,)), self.within))

    def narrow(self, *conditions: Condition) -> "Visibility":
        """Return the same points under more conditions; they can only become fewer."""
        return Visibility(self.tenant, All((self.within, *conditions)))


def show_store(tenant: str, store: str) -> Visibility:
    """Return all points of a store, in every index epoch."""
    if not store:
        raise InvalidVisibility("The call names no store. Name the vector store that it is about.")
    return Visibility(tenant, Match("store", (store,)))


def show_document(tenant: str, store: str, document: str) -> Visibility:
    """Return all points of a document, in every index epoch."""
    return show_documents(tenant, store, (document,))


def show_documents(tenant: str, store: str, documents: Sequence[str]) -> Visibility:
    """Return all points of documents, in every index epoch."""
    if not documents or not all(documents):
        raise InvalidVisibility("The call names no document. Name the document that it is about.")
    return show_store(tenant, store).narrow(Match("document", tuple(documents)))


def show_to_reader(query: SearchQuery) -> Visibility:
    """Return the points that a reader of these stores sees at their index epochs, before the query's own filters.

    Raises:
        InvalidVisibility: No tenant, no store, or a store without a name.
    """
    if not query.stores or not all(query.stores):
        raise InvalidVisibility(
            "The search names no store. Name at least one vector store and the index epoch to read it at."
        )
    return Visibility(
        query.tenant,
        AnyOf(
            tuple(
                All((Match("store", (store,)), Between("from", lte=index_epoch), Between("to", gt=index_epoch)))
                for store, index_epoch in sorted(query.stores.items())
            )
        ),
    )


def show_to_search(query: SearchQuery, filters: Condition | None) -> Visibility:
    """Return the points that may answer: not the excluded documents, and only what the filters let through."""
    visibility = show_to_reader(query)
    if query.exclude:
        visibility = visibility.narrow(Not(Match("document", tuple(query.exclude))))
    return visibility.narrow(filters) if filters is not None else visibility
