"""How far an answer keeps to a house's voice: the share of the house's rules that it meets."""

import re
from collections.abc import Callable

from msgspec import Struct

__all__ = ["House", "Rule", "sentences"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Rule(Struct, frozen=True):
    """One checkable rule of a house's voice.

    Attributes:
        reason: Why the house wants it, or why it is checked in this way.
        met: Whether a whole answer keeps to it.
    """

    name: str
    reason: str
    met: Callable[[str], bool]


class House(Struct, frozen=True):
    """A house's voice."""

    rules: tuple[Rule, ...]

    def broken(self, answer: str) -> list[str]:
        """The names of the rules that an answer breaks. An empty answer breaks all of them."""
        said = answer.strip()
        return [rule.name for rule in self.rules if not said or not rule.met(said)]

    def score(self, answer: str) -> float:
        """The share of rules met, 0..1."""
        return (len(self.rules) - len(self.broken(answer))) / len(self.rules)


def sentences(text: str) -> list[str]:
    """Sentences, split behind a full stop that white space follows: decimals, times and versions stay whole."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]
