"""From answers to scores: every arm by row, so that any two can be held against each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.advice.arms import Arm
from gateway.advice.measurements import AdviceMeasurements, ArmAnswer, RowAnswers
from gateway.advice.row_facts import read_value, score_facts
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_mean_difference
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.style import StyleRules
from gateway.evaluation.values import TextValues, find_values
from gateway.evaluation.voice_classifier import score_voices
from gateway.gates.bounds import LEAST_ROWS

__all__ = ["MEASURES", "AdviceScores", "ArmScores", "Measure", "score_arms"]

Measure = Literal["style", "voice", "rules", "task", "facts", "supported", "abstains"]
MEASURES: tuple[Measure, ...] = ("style", "voice", "rules", "task", "facts", "supported", "abstains")

_CITATION = re.compile(r"\s*\[\d{1,3}\]")
_SPACE = re.compile(r"\s+")
_BOUNDED_SHARE = 0.2
_SEEN_SHARE = 0.9

Scores = list[float | None]


@dataclass(frozen=True, slots=True)
class ArmScores:
    """An arm's scores by row, each 0..1 and None where the row can't tell; and the answers that they are of.

    `style` is the mean of `voice` (a classifier on character n-grams) and `rules` (the share of the learnt ones kept);
    `task` is whether the reply is the very one, where there are only some that occur.
    """

    measures: Mapping[Measure, Scores]
    answers: Sequence[ArmAnswer]
    recited: Sequence[int]


@dataclass(frozen=True, slots=True)
class AdviceScores:
    """The scores of all arms.

    Attributes:
        arms: By name.
        references: The style of the tenant's own replies as `style` scores them, without and with documents.
        bounded: Whether replies are a few that occur again and again, as labels are.
        rules: Those of the style.
    """

    arms: Mapping[str, ArmScores]
    references: Mapping[bool, Sequence[float]]
    bounded: bool
    rules: StyleRules

    def estimate(self, arm: str, measure: Measure) -> Estimate | None:
        """Return an arm's mean; None where no row can tell."""
        scores = [one for one in self.arms[arm].measures[measure] if one is not None]
        return estimate_mean(scores) if scores else None

    def compare(self, arm: str, other: str, measure: Measure) -> Estimate | None:
        """Return how much more an arm has than another one, paired; None where too few rows can tell.

        The interval is as wide as the comparisons with so many ways to a style want it.
        """
        rows = zip(self.arms[arm].measures[measure], self.arms[other].measures[measure], strict=True)
        pairs = [(a, b) for a, b in rows if a is not None and b is not None]
        return _compare([a for a, _ in pairs], [b for _, b in pairs], self._count_ways())

    def _count_ways(self) -> int:
        return sum(not name.endswith("facts") for name in self.arms)

    def measure_gap(self, arm: str, *, facts: bool) -> Estimate | None:
        """Return how much more of the style the tenant's own replies have than an arm; None without a style."""
        style = [one for one in self.arms[arm].measures["style"] if one is not None]
        return _compare(self.references[facts], style, self._count_ways()) if style else None

    def measure_task_gap(self, arm: str) -> Estimate | None:
        """Return the share of replies that an arm hasn't right, where the task is bounded."""
        task = [one for one in self.arms[arm].measures["task"] if one is not None]
        return _compare([1.0] * len(task), task, self._count_ways())


def _compare(scores: Sequence[float], others: Sequence[float], comparisons: int) -> Estimate | None:
    return estimate_mean_difference(scores, others, comparisons=comparisons) if len(scores) >= LEAST_ROWS else None


def score_arms(measurements: AdviceMeasurements, arms: Sequence[Arm]) -> AdviceScores:
    """Score every arm; at least `LEAST_ROWS` rows have to be there."""
    rows = measurements.rows
    bounded = _is_bounded(measurements.replies, [row.reply for row in rows])
    styles: dict[str, tuple[Scores, Scores, Scores]] = {}
    references: dict[bool, Sequence[float]] = {}
    rules = StyleRules(())
    for facts in sorted({arm.facts for arm in arms}):
        # Each setting has its own base to be told from: else passages and their marks would count as a voice.
        names = [arm.name for arm in arms if arm.facts == facts]
        rules, own_styles, references[facts] = _score_style(measurements, names, Arm("none", facts).name)
        styles |= own_styles
    scores = {
        arm.name: ArmScores(
            measures={
                **dict(zip(("style", "voice", "rules"), styles[arm.name], strict=True)),
                "task": [_match(row, arm.name) if bounded else None for row in rows],
                "facts": [
                    score_facts(row.facts, row.answers[arm.name].text, documented=measurements.documented)
                    for row in rows
                ],
                "supported": [row.answers[arm.name].supported for row in rows],
                "abstains": [row.answers[arm.name].abstains for row in rows],
            },
            answers=[row.answers[arm.name] for row in rows],
            recited=[row.number for row in rows if _recites(row, arm.name)],
        )
        for arm in arms
    }
    return AdviceScores(scores, references, bounded, rules)


def _score_style(
    measurements: AdviceMeasurements, names: Sequence[str], base: str
) -> tuple[StyleRules, dict[str, tuple[Scores, Scores, Scores]], Sequence[float]]:
    """Score voice and rules of some arms, and of the tenant's own replies."""
    rows = measurements.rows
    texts = {name: [_strip(row.answers[name].text) for row in rows] for name in names}
    replies = [_strip(row.reply) for row in rows]
    rules = learn_rules([_strip(reply) for reply in measurements.replies], texts[base])
    masked_texts = {name: [_mask(text) for text in some] for name, some in texts.items()}
    own = [_mask(text) for text in replies]
    voices = score_voices(own, masked_texts[base], {**masked_texts, "": own})
    shares = {name: [rules.score(text) for text in some] for name, some in {**texts, "": replies}.items()}
    styles = {
        name: [(voice + rule) / 2 for voice, rule in zip(voices[name], shares[name], strict=True)] for name in shares
    }
    by_name: dict[str, tuple[Scores, Scores, Scores]] = {
        name: ([*styles[name]], [*voices[name]], [*shares[name]]) for name in names
    }
    return rules, by_name, styles[""]


def _strip(text: str) -> str:
    """Leave out the marks of citations: they are the prompt's, and nobody's style."""
    return _CITATION.sub("", text).strip()


def _mask(text: str) -> str:
    """Put one sign in the place of each value, so that a voice isn't told by the facts that it states."""
    pieces: list[str] = []
    last = 0
    for value in find_values(text):
        pieces += [text[last : value.start], "#"]
        last = value.end
    return "".join([*pieces, text[last:]])


def _is_bounded(texts: Sequence[str], replies: Sequence[str]) -> bool:
    """Tell whether replies are a few that occur again and again: nearly all that were held out were seen before."""
    learnt_texts = {_flatten(text) for text in texts}
    again = sum(_flatten(text) in learnt_texts for text in replies)
    return len(learnt_texts) <= max(2, _BOUNDED_SHARE * len(texts)) and again >= _SEEN_SHARE * len(replies)


def _match(row: RowAnswers, arm: str) -> float:
    return float(_flatten(row.answers[arm].text) == _flatten(row.reply))


def _flatten(text: str) -> str:
    return _SPACE.sub(" ", text.casefold()).strip(" \n\t.!'\"*`")


def _recites(row: RowAnswers, arm: str) -> bool:
    """Tell whether an answer states a value that documents have changed since."""
    facts = [fact for fact in row.facts if fact.place == "changed"]
    if not facts:
        return False
    answer = TextValues.of(row.answers[arm].text)
    return any(answer.states(read_value(fact)) for fact in facts)
