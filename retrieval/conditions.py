"""Conditions on points, in words that every store can translate to its engine's filters.

None of them can be empty: to an engine an empty `should` or `must` means *everything*, which is how a missing scope
becomes somebody else's documents.
"""

from msgspec import Struct

from retrieval.errors import InvalidScope

__all__ = ["All", "AnyOf", "Between", "Condition", "Match", "Not"]


class Match(Struct, frozen=True):
    """The payload's `key` is one of `values`."""

    key: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        _refuse_empty(self.values, self)


class Between(Struct, frozen=True):
    """The payload's number at `key` lies in the range; bounds left out don't bind."""

    key: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    def __post_init__(self) -> None:
        _refuse_empty(tuple(x for x in (self.gt, self.gte, self.lt, self.lte) if x is not None), self)


class All(Struct, frozen=True):
    parts: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _refuse_empty(self.parts, self)


class AnyOf(Struct, frozen=True):
    parts: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _refuse_empty(self.parts, self)


class Not(Struct, frozen=True):
    """Also true where the payload doesn't have the key."""

    part: "Condition"


Condition = Match | Between | All | AnyOf | Not


def _refuse_empty(parts: tuple[object, ...], condition: object) -> None:
    if not parts:
        raise InvalidScope(
            f"An empty {type(condition).__name__} was built: an engine would take it for 'everything'. "
            "Leave the condition out, or don't search at all."
        )
