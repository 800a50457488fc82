"""Faithfulness to passages, without a judge: what an answer states, cites, follows and leaves open."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from gateway.evaluation.stated_values import change_value, list_unsupported, list_values, replace_value
from gateway.evaluation.values import TextValues, Value

__all__ = [
    "Counterfactual",
    "FaithfulnessScore",
    "abstains",
    "has_marks",
    "make_counterfactual",
    "score_citations",
    "score_support",
]

_MARKS = re.compile(r"(?:\[\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3})*\][ ]?)+")
_SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)|\n")


class FaithfulnessScore(msgspec.Struct, frozen=True):
    """One row's scores, 0..1; None where a row can't tell.

    Attributes:
        supported: The share of the answer's values that stand in its prompt.
        citations: The share of its marks that are right, see `score_citations`.
        cites: 1 where it has a mark.
        follows: 1 where it states a value as a passage has it in which it was changed to another than the reply's.
        abstains: 1 where it states no value of its own, when there is no passage.
    """

    supported: float
    citations: float | None
    follows: float | None
    abstains: float | None
    cites: float = 0.0

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

    Values that stand in the rest of the prompt stay as they are: the question may name them. So do those that a passage
    would still state, in another unit or spelling: they would contradict each other.
    """
    changes: dict[str, str] = {}
    question = TextValues.of(prompt)
    present = [TextValues.of(text) for text in passages]
    for value in list_values(reply):
        other = change_value(value.text)
        if other == value.text or question.states(value) or any(_states(one, other) for one in present):
            continue
        texts = [replace_value(text, value.text, other) for text in passages]
        if texts != list(passages) and not any(_has_size(text, value) for text in texts):
            changes[value.text] = other
    if not changes:
        return None
    return Counterfactual([_replace_all(text, changes) for text in passages], changes)


def score_support(answer: str, sources: Sequence[str]) -> float:
    """Return the share of an answer's values that stand in its sources; 1 where it states none."""
    values = list_values(answer)
    return 1.0 if not values else 1.0 - len(list_unsupported(answer, sources)) / len(values)


def abstains(answer: str, sources: Sequence[str]) -> bool:
    """Tell whether an answer says something, and no value that its sources lack: right where no passage is there."""
    return bool(answer.strip()) and score_support(answer, sources) == 1.0


def has_marks(text: str) -> bool:
    """Tell whether a text has a mark of a citation."""
    return _MARKS.search(text) is not None


def score_citations(answer: str, passages: Sequence[str]) -> float | None:
    """Return the share of an answer's marks that are right; None where it has none.

    Right is the number of a passage; and where the sentence before it states values that some passages have, those of
    marks beside each other that have none of them aren't. Each number of `[1, 3]` is one, of `[1-3]` the first and the
    last.
    """
    evidence = [TextValues.of(passage) for passage in passages]
    total = right = end = 0
    for marks in _MARKS.finditer(answer):
        numbers = [int(number) for number in re.findall(r"\d+", marks[0])]
        sources = [evidence[number - 1] for number in numbers if 1 <= number <= len(evidence)]
        values = [
            value
            for value in list_values(_take_last_sentence(answer[end : marks.start()]))
            if any(one.states(value) for one in evidence)
        ]
        total += len(numbers)
        if not values or any(one.states(value) for one in sources for value in values):
            right += len(sources)
        end = marks.end()
    return right / total if total else None


def _take_last_sentence(text: str) -> str:
    sentences = [part for part in _SENTENCE_END.split(text) if part.strip()]
    return sentences[-1] if sentences else ""


def _states(evidence: TextValues, text: str) -> bool:
    """Tell whether a value, as it is written, is in a text; one that is none by itself has to stand there so."""
    values = list_values(text)
    return all(evidence.states(value) for value in values) if values else text in evidence.text


def _has_size(text: str, value: Value) -> bool:
    return bool(value.sizes) and not value.sizes.isdisjoint(TextValues.of(text).readings)


def _replace_all(text: str, changes: Mapping[str, str]) -> str:
    for value, other in changes.items():
        text = replace_value(text, value, other)
    return text
