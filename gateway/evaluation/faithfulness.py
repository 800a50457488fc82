"""Faithfulness to passages, without a judge: what an answer states, cites, follows and leaves open."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from gateway.evaluation.stated_values import change_value, list_unsupported, list_values, replace_value
from gateway.evaluation.values import TextValues

__all__ = ["Counterfactual", "FaithfulnessScore", "make_counterfactual", "score_citations", "score_support"]

_CITATION = re.compile(r"\[(\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3})*)\]")


class FaithfulnessScore(msgspec.Struct, frozen=True):
    """One row's scores, 0..1; None where a row can't tell.

    Attributes:
        supported: The share of the answer's values that stand in its prompt.
        citations: The share of its marks that are numbers of passages.
        follows: 1 where it states a value as a passage has it in which it was changed to another than the reply's.
        abstains: 1 where it states no value of its own, when there is no passage.
    """

    supported: float
    citations: float | None
    follows: float | None
    abstains: float | None

    @property
    def total(self) -> float:
        """The mean of what the row can tell."""
        parts = [part for part in (self.supported, self.citations, self.follows, self.abstains) if part is not None]
        return sum(parts) / len(parts)


class Counterfactual(msgspec.Struct, frozen=True):
    """Passages in which the values of a reply were changed: the new ones by those before."""

    texts: list[str]
    changed: dict[str, str]

    def score(self, answer: str) -> float:
        """Return 1 where an answer states a changed value and none of those before, else 0."""
        evidence = TextValues.of(answer)
        return float(
            any(_states(evidence, new) for new in self.changed.values())
            and not any(_states(evidence, old) for old in self.changed)
        )


def make_counterfactual(reply: str, passages: Sequence[str], prompt: str) -> Counterfactual | None:
    """Change, in passages, the values that a reply took from them; None where it took none.

    Values that stand in the rest of the prompt stay as they are: the question may name them.
    """
    changes: dict[str, str] = {}
    question = TextValues.of(prompt)
    present = [TextValues.of(text) for text in passages]
    for value in list_values(reply):
        other = change_value(value.text)
        if other == value.text or question.states(value) or any(_states(one, other) for one in present):
            continue
        if any(replace_value(text, value.text, other) != text for text in passages):
            changes[value.text] = other
    if not changes:
        return None
    return Counterfactual([_replace_all(text, changes) for text in passages], changes)


def score_support(answer: str, sources: Sequence[str]) -> float:
    """Return the share of an answer's values that stand in its sources; 1 where it states none."""
    values = list_values(answer)
    return 1.0 if not values else 1.0 - len(list_unsupported(answer, sources)) / len(values)


def score_citations(answer: str, passages: int) -> float | None:
    """Return the share of an answer's marks that are numbers of passages; None where it has none.

    Each number of `[1, 3]` is one, of `[1-3]` the first and the last.
    """
    numbers = [int(number) for marks in _CITATION.findall(answer) for number in re.findall(r"\d+", marks)]
    return sum(1 <= number <= passages for number in numbers) / len(numbers) if numbers else None


def _states(evidence: TextValues, text: str) -> bool:
    """Tell whether a value, as it is written, is in a text; one that is none by itself has to stand there so."""
    values = list_values(text)
    return all(evidence.states(value) for value in values) if values else text in evidence.text


def _replace_all(text: str, changes: Mapping[str, str]) -> str:
    for value, other in changes.items():
        text = replace_value(text, value, other)
    return text
