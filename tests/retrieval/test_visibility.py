from collections.abc import Callable

import pytest

from retrieval.errors import InvalidVisibility
from retrieval.filter_expressions import All, AnyOf, Between, Match, Not
from retrieval.messages import SearchQuery
from retrieval.visibility import (
    Visibility,
    show_document,
    show_store,
    show_to_reader,
    show_to_search,
)

QUERY = SearchQuery(tenant="kestrel", stores={"a": 1, "b": 2}, text="x", exclude=["d"])


@pytest.mark.parametrize(
    "visibility",
    [
        show_store("kestrel", "a"),
        show_document("kestrel", "a", "d"),
        show_to_reader(QUERY),
        show_to_search(QUERY, Match("where.k", ("s:v",))),
        show_store("kestrel", "a").narrow(Between("from", gt=1)),
    ],
    ids=["store", "document", "reader", "search", "narrow"],
)
def test_every_visibility_names_its_tenant(visibility: Visibility) -> None:
    assert isinstance(visibility.condition, All)
    assert visibility.condition.parts[0] == Match("tenant", ("kestrel",))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: show_store("", "a"), "no tenant"),
        (lambda: show_store("kestrel", ""), "no store"),
        (lambda: show_document("kestrel", "a", ""), "no document"),
        (lambda: show_to_reader(SearchQuery(tenant="", stores={"a": 1}, text="x")), "no tenant"),
        (lambda: show_to_reader(SearchQuery(tenant="kestrel", stores={}, text="x")), "no store"),
        (lambda: show_to_reader(SearchQuery(tenant="kestrel", stores={"": 1}, text="x")), "no store"),
        (lambda: Visibility("", Match("store", ("a",))), "no tenant"),
    ],
)
def test_a_visibility_without_tenant_store_or_document_cannot_be_made(
    make: Callable[[], Visibility], names: str
) -> None:
    with pytest.raises(InvalidVisibility, match=names):
        make()


def test_a_reader_sees_each_store_at_its_own_index_epoch() -> None:
    def at(store: str, index_epoch: int) -> All:
        return All((Match("store", (store,)), Between("from", lte=index_epoch), Between("to", gt=index_epoch)))

    query = SearchQuery(tenant="kestrel", stores={"b": 2, "a": 1}, text="x")
    assert show_to_reader(query).within == AnyOf((at("a", 1), at("b", 2)))


def test_excluded_documents_and_filters_only_narrow() -> None:
    query = SearchQuery(tenant="kestrel", stores={"a": 3}, text="x", exclude=["old"])
    filters = Match("where.k", ("s:v",))
    without = show_to_reader(query).narrow(Not(Match("document", ("old",))))
    assert show_to_search(query, None) == without
    assert show_to_search(query, filters) == without.narrow(filters)
