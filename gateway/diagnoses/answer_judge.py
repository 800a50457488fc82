"""Whether an answer is right: it states what it should, and it has the tenant's voice."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.diagnoses.cases import Case
from gateway.evaluation.facts import states
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.stated_values import list_values
from gateway.evaluation.values import TextValues, Value

__all__ = ["ExpectedFacts", "Voice", "find_expected"]

_KEEP = 0.9
"""The share of references that have the voice, by which its threshold is set."""
_MARKS = re.compile(r"\s*\[\d{1,3}\]")


@dataclass(frozen=True, slots=True)
class _Fact:
    """A text that an answer has to have: by the values in it, else by its words."""

    text: str
    values: tuple[Value, ...]

    def stands_in(self, evidence: TextValues) -> bool:
        if self.values:
            return all(evidence.states(value) for value in self.values)
        return states(evidence.text, self.text)


@dataclass(frozen=True, slots=True)
class ExpectedFacts:
    """The facts that a right answer states; none where nothing is known of it."""

    facts: tuple[_Fact, ...]

    def __bool__(self) -> bool:
        return bool(self.facts)

    @property
    def texts(self) -> list[str]:
        return [fact.text for fact in self.facts]

    def find_in(self, text: str) -> frozenset[int]:
        """Return the places of the facts that a text states."""
        evidence = TextValues.of(text)
        return frozenset(at for at, fact in enumerate(self.facts) if fact.stands_in(evidence))

    def is_stated_in(self, text: str) -> bool:
        """Tell whether a text states all of them."""
        return len(self.find_in(text)) == len(self.facts)


def find_expected(case: Case) -> ExpectedFacts:
    """Return what a case's answer should state: what it expects, and the reference's values.

    Values that the conversation has are left out: an answer may repeat or leave them. Where it has all of them, they
    count after all.
    """
    facts = [_Fact(text, tuple(list_values(text))) for text in dict.fromkeys(case.expected)]
    if not facts:
        values = list_values(case.reference)
        message_values = TextValues.of("\n".join(one.content or "" for one in case.messages))
        new = [value for value in values if not message_values.states(value)]
        facts = [_Fact(value.text, (value,)) for value in new or values]
    return ExpectedFacts(tuple(facts))


class Voice:
    """The tenant's voice, as rules learnt from its replies; fewer than ten teach none, so that nothing can be told.

    Args:
        replies: In the voice.
    """

    def __init__(self, replies: Iterable[str]) -> None:
        texts = [_MARKS.sub("", text) for text in replies if text.strip()]
        self._rules = learn_rules(texts)
        scores = sorted(self._rules.score(text) for text in texts)
        self._least = scores[int((1 - _KEEP) * len(scores))] if scores else 0.0

    @property
    def has_rules(self) -> bool:
        return bool(self._rules.rules)

    def matches(self, answer: str) -> bool:
        """Tell whether an answer keeps to as many rules as nine of ten replies do; yes where no rules are known."""
        return self._rules.score(_MARKS.sub("", answer)) >= self._least
