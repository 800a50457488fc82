import pytest

from retrieval.filter_expressions import All, AnyOf, Between, Match, Not
from retrieval.errors import InvalidVisibility
from retrieval.messages import SearchQuery
from retrieval.visibility import Scope, document_scope, searched_scope, store_scope, visible_scope


def test_every_scope_names_its_tenant() -> None:
    query = SearchQuery(tenant="kestrel", stores={"a": 1, "b": 2}, text="x", exclude=["d"])
    for scope in (
        store_scope("kestrel", "a"),
        document_scope("kestrel", "a", "d"),
        visible_scope(query),
        searched_scope(query, Match("where.k", ("s:v",))),
        store_scope("kestrel", "a").narrowed(Between("from", gt=1)),
    ):
        assert isinstance(scope.condition, All)
        assert scope.condition.parts[0] == Match("tenant", ("kestrel",))


def test_a_scope_without_tenant_store_or_document_cannot_be_made() -> None:
    for make in (
        lambda: store_scope("", "a"),
        lambda: store_scope("kestrel", ""),
        lambda: document_scope("kestrel", "a", ""),
        lambda: visible_scope(SearchQuery(tenant="", stores={"a": 1}, text="x")),
        lambda: visible_scope(SearchQuery(tenant="kestrel", stores={}, text="x")),
        lambda: visible_scope(SearchQuery(tenant="kestrel", stores={"": 1}, text="x")),
        lambda: Scope("", Match("store", ("a",))),
    ):
        with pytest.raises(InvalidVisibility):
            make()


def test_conditions_cannot_be_empty_since_engines_read_that_as_everything() -> None:
    for make in (lambda: All(()), lambda: AnyOf(()), lambda: Match("tenant", ()), lambda: Between("from")):
        with pytest.raises(InvalidVisibility, match="everything"):
            make()


def test_excluded_documents_and_filters_only_narrow() -> None:
    query = SearchQuery(tenant="kestrel", stores={"a": 3}, text="x", exclude=["old"])
    wanted = Match("where.k", ("s:v",))
    assert searched_scope(query, wanted) == visible_scope(query).narrowed(Not(Match("document", ("old",)))).narrowed(
        wanted
    )
