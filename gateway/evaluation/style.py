"""Style as rules, and an answer's score: the share of the rules that it meets."""

import re
from collections.abc import Callable

from msgspec import Struct

__all__ = ["StyleRule", "StyleRules", "split_sentences"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class StyleRule(Struct, frozen=True):
    """One checkable rule of a style.

    Attributes:
        reason: Why the style has the rule, or why it is checked in this way.
        check: Tells whether a whole answer keeps to it.
        instruction: The rule as a prompt says it to a model; "" where it isn't for one.
    """

    name: str
    reason: str
    check: Callable[[str], bool]
    instruction: str = ""


class StyleRules(Struct, frozen=True):
    """A style, as rules that all count alike."""

    rules: tuple[StyleRule, ...]

    def list_broken(self, answer: str) -> list[str]:
        """Return the names of the rules that an answer breaks. An empty answer breaks all of them."""
        text = answer.strip()
        return [rule.name for rule in self.rules if not text or not rule.check(text)]

    def score(self, answer: str) -> float:
        """Return the share of rules met, 0..1; 1 where there are no rules."""
        if not self.rules:
            return 1.0
        return (len(self.rules) - len(self.list_broken(answer))) / len(self.rules)


def split_sentences(text: str) -> list[str]:
    """Split behind a full stop that white space follows: decimals, times and versions stay whole."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]
