from collections.abc import Callable

import pytest

from retrieval.errors import InvalidVisibility
from retrieval.filter_expressions import All, AnyOf, Between, Condition, Match


@pytest.mark.parametrize(
    "make",
    [lambda: All(()), lambda: AnyOf(()), lambda: Match("tenant", ()), lambda: Between("from")],
    ids=["All", "AnyOf", "Match", "Between"],
)
def test_a_condition_cannot_be_empty_since_engines_read_that_as_everything(make: Callable[[], Condition]) -> None:
    with pytest.raises(InvalidVisibility, match="everything"):
        make()


def test_a_bound_of_zero_is_a_bound() -> None:
    assert Between("from", gte=0).gte == 0
