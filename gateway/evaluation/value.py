"""A value in a text: what was found, where, and its one spelling."""

from dataclasses import dataclass
from typing import Literal

from gateway.evaluation.sizes import list_sizes

__all__ = ["KINDS", "Kind", "Value"]

Kind = Literal["url", "e-mail", "date", "time", "money", "version", "phone", "quantity", "code", "number"]
KINDS: tuple[Kind, ...] = ("url", "e-mail", "date", "time", "money", "version", "phone", "quantity", "code", "number")
"""In the order in which they are looked for: what is part of a value is no other one."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a text.

    Attributes:
        text: As it stands there, from `start` to before `end` (characters).
        readings: Its one spelling; two where it can be read in two ways, as 02/03/2026 can. A part of `1 h 30 min` also
            has that of the whole, as `span:90 minute`.
        apart: What amounts are per by the rest of its text: of `Per month it is €5` the amount may be one per month.
        headers: Those of them that belong to no amount in it, as in a table's header: they may be about any.
        is_led: Whether what it is per stands right before it, as in `monthly €5`, and isn't in `text`.
    """

    kind: Kind
    text: str
    start: int
    end: int
    readings: tuple[str, ...]
    apart: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    is_led: bool = False

    @property
    def sizes(self) -> frozenset[str]:
        """Its sizes in base units, by which it is the same in other units too: `size:length 2` of `200 cm`."""
        return list_sizes(self.readings, self.text) if self.kind == "quantity" else frozenset()

    @property
    def is_part(self) -> bool:
        """Whether it is one together with a neighbour, as in `1 h 30 min`."""
        return self.readings[-1].startswith("span:")
