from collections.abc import Callable

import pytest

from retrieval.errors import InvalidVisibility
from retrieval.filter_expressions import All, AnyOf, Between, Match, Not
from retrieval.messages import SearchQuery
from retrieval.visibility import (
    Visibility,
    document_visibility,
    reader_visibility,
    search_visibility,
    store_visibility,
)

QUERY = SearchQuery(tenant="kestrel", stores={"a": 1, "b": 2}, text="x", exclude=["d"])


@pytest.mark.parametrize(
    "visibility",
    [
        store_visibility("kestrel", "a"),
        document_visibility("kestrel", "a", "d"),
        reader_visibility(QUERY),
        search_visibility(QUERY, Match("where.k", ("s:v",))),
        store_visibility("kestrel", "a").narrow(Between("from", gt=1)),
    ],
    ids=["store", "document", "reader", "search", "narrow"],
)
def test_every_visibility_names_its_tenant(visibility: Visibility) -> None:
    assert isinstance(visibility.condition, All)
    assert visibility.condition.parts[0] == Match("tenant", ("kestrel",))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: store_visibility("", "a"), "no tenant"),
        (lambda: store_visibility("kestrel", ""), "no store"),
        (lambda: document_visibility("kestrel", "a", ""), "no document"),
        (lambda: reader_visibility(SearchQuery(tenant="", stores={"a": 1}, text="x")), "no tenant"),
        (lambda: reader_visibility(SearchQuery(tenant="kestrel", stores={}, text="x")), "no store"),
        (lambda: reader_visibility(SearchQuery(tenant="kestrel", stores={"": 1}, text="x")), "no store"),
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
    assert reader_visibility(query).within == AnyOf((at("a", 1), at("b", 2)))


def test_excluded_documents_and_filters_only_narrow() -> None:
    query = SearchQuery(tenant="kestrel", stores={"a": 3}, text="x", exclude=["old"])
    filters = Match("where.k", ("s:v",))
    without = reader_visibility(query).narrow(Not(Match("document", ("old",))))
    assert search_visibility(query, None) == without
    assert search_visibility(query, filters) == without.narrow(filters)
