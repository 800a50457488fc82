"""Conditions on points, in words that every index backend can translate to its engine's filters.

None of them can be empty: to an engine an empty `should` or `must` means *everything*, which is how a missing tenant
becomes somebody else's documents.
"""

from dataclasses import dataclass

from retrieval.errors import InvalidVisibility

__all__ = ["All", "AnyOf", "Between", "Condition", "Match", "Not", "list_parts"]


@dataclass(frozen=True, slots=True)
class Match:
    """The payload's `key` is one of `values`."""

    key: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        _refuse_empty(self.values, self)


@dataclass(frozen=True, slots=True)
class Between:
    """The payload's number at `key` lies in the range; bounds left out don't bind."""

    key: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    def __post_init__(self) -> None:
        _refuse_empty(tuple(x for x in (self.gt, self.gte, self.lt, self.lte) if x is not None), self)


@dataclass(frozen=True, slots=True)
class All:
    parts: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _refuse_empty(self.parts, self)


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _refuse_empty(self.parts, self)


@dataclass(frozen=True, slots=True)
class Not:
    """A condition that doesn't hold; true as well where the payload doesn't have the key."""

    part: "Condition"


Condition = Match | Between | All | AnyOf | Not


def list_parts(condition: Condition) -> list[Condition]:
    """Return conditions that hold together where this one does, as flat as can be: engines check flat ones faster."""
    match condition:
        case All(parts):
            return [flat for part in parts for flat in list_parts(part)]
        case AnyOf((part,)):
            return list_parts(part)
        case _:
            return [condition]


def _refuse_empty(parts: tuple[object, ...], condition: object) -> None:
    if not parts:
        raise InvalidVisibility(
            f"An empty {type(condition).__name__} was built: an engine would take it for 'everything'. "
            "Leave the condition out, or don't search at all."
        )
