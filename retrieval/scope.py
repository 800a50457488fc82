"""Whose points a call may touch. Every filter that reaches an engine is made here, and always names the tenant."""

from msgspec import Struct

from retrieval.conditions import All, AnyOf, Between, Condition, Match, Not
from retrieval.errors import InvalidScope
from retrieval.passages import SearchQuery

__all__ = ["OPEN", "Scope", "document_scope", "searched_scope", "store_scope", "visible_scope"]

OPEN = 2**53
"""`to` of a point that no later epoch has closed: the largest integer that every engine's floats hold exactly."""


class Scope(Struct, frozen=True):
    """A tenant's points under a condition; stores take nothing else.

    Raises:
        InvalidScope: The tenant is empty.
    """

    tenant: str
    within: Condition

    def __post_init__(self) -> None:
        if not self.tenant:
            raise InvalidScope("The call names no tenant. Every read and write of the index belongs to one: name it.")

    @property
    def condition(self) -> Condition:
        return All((Match("tenant", (self.tenant,)), self.within))

    def narrowed(self, *conditions: Condition) -> "Scope":
        """The same scope under more conditions; it can only become smaller."""
        return Scope(self.tenant, All((self.within, *conditions)))


def store_scope(tenant: str, store: str) -> Scope:
    """All points of a store, in every epoch."""
    if not store:
        raise InvalidScope("The call names no store. Name the vector store that it is about.")
    return Scope(tenant, Match("store", (store,)))


def document_scope(tenant: str, store: str, document: str) -> Scope:
    """All points of a document, in every epoch."""
    if not document:
        raise InvalidScope("The call names no document. Name the document that it is about.")
    return store_scope(tenant, store).narrowed(Match("document", (document,)))


def visible_scope(query: SearchQuery) -> Scope:
    """What a reader of these stores sees at their epochs, before the query's own filters.

    Raises:
        InvalidScope: No tenant, no store, or a store without a name.
    """
    if not query.stores or not all(query.stores):
        raise InvalidScope("The search names no store. Name at least one vector store and the epoch to read it at.")
    return Scope(
        query.tenant,
        AnyOf(
            tuple(
                All((Match("store", (store,)), Between("from", lte=epoch), Between("to", gt=epoch)))
                for store, epoch in sorted(query.stores.items())
            )
        ),
    )


def searched_scope(query: SearchQuery, filters: Condition | None) -> Scope:
    """The visible points that may answer: not the excluded documents, and only what the filters let through."""
    scope = visible_scope(query)
    if query.exclude:
        scope = scope.narrowed(Not(Match("document", tuple(query.exclude))))
    return scope.narrowed(filters) if filters is not None else scope
