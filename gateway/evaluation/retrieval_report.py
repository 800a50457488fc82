"""The figures of an evaluation of retrieval: per configuration and half, with paired differences to the first one."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.evaluation.abstention import Abstention, TopScore, choose_threshold, measure_abstention
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_mean_difference
from gateway.evaluation.labels import BadLabels, Half
from gateway.evaluation.ranking_metrics import METRICS
from gateway.evaluation.retrieval_run import QuestionResult
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = [
    "METHOD",
    "Configuration",
    "ConfigurationDifference",
    "RetrievalFigures",
    "RetrievalReport",
    "load_report",
    "make_report",
]

METHOD = (
    "Passages are searched for as the gateway does it, at most 50 per question, and ranked as documents by their best "
    "passage. nDCG@10, recall at 5 and 20 and the mean reciprocal rank (MRR) are ir-measures' and count questions that "
    "have an answer; intervals are 95 % of a bootstrap over questions (2,000 resamples), of the paired differences "
    "where two configurations are compared. A question is abstained from as an assistant does it, where its passages "
    "answer with less than the least probability, or, if a score threshold was asked for, where no passage reaches it: "
    "precision is the share of those that have no answer, recall the share of questions without an answer that are "
    "among them, with Wilson's intervals. A question's half follows from its text alone: choose settings on the tune "
    "half, and believe the report half. Times are of one search after the other."
)


class RetrievalFigures(Struct, frozen=True):
    """One configuration on one half.

    Attributes:
        answerable: Questions that have an answer.
        metrics: By name; empty where no question has an answer.
        abstention: At the limit that was asked for; None where the probabilities aren't known, as of earlier reports.
        tuned_abstention: At the limit that was chosen on the tune half; None on that half, and where none could be.
        p50: Seconds of a search, median.
        p95: Seconds that 95 of 100 searches stay within.
    """

    questions: int
    answerable: int
    metrics: dict[str, Estimate]
    abstention: Abstention | None
    tuned_abstention: Abstention | None
    p50: float
    p95: float


class Configuration(Struct, frozen=True):
    """One way of searching.

    Attributes:
        tuned_threshold: The limit of the highest recall of those whose precision is 0.9 or more on the tune half.
    """

    name: str
    halves: dict[Half, RetrievalFigures]
    tuned_threshold: float | None
    results: list[QuestionResult]


class ConfigurationDifference(Struct, frozen=True):
    """Differences of paired questions, `configuration` minus `baseline`.

    Attributes:
        better: Metrics whose whole interval is above 0.
        worse: Metrics whose whole interval is below 0.
    """

    configuration: str
    baseline: str
    half: Half
    differences: dict[str, Estimate]
    better: list[str]
    worse: list[str]


class RetrievalReport(Struct, frozen=True):
    """Everything that an evaluation found out.

    Attributes:
        source: The name of the file of labelled questions.
        store: The store's name.
        score_threshold: The limit of abstention, where it was asked for by the best score; else None.
        least_probability: The limit otherwise: of the probability of an answer, as a release has it.
    """

    source: str
    store: str
    score_threshold: float | None
    configurations: list[Configuration]
    comparisons: list[ConfigurationDifference]
    least_probability: float = LEAST_PROBABILITY
    created_at: int = msgspec.field(default_factory=lambda: int(time.time()))
    kind: str = "retrieval"
    method: str = METHOD

    @property
    def halves(self) -> list[Half]:
        return list(self.configurations[0].halves)

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def load_report(file: Path) -> RetrievalReport:
    """Read a report that was saved.

    Raises:
        BadLabels: It isn't one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=RetrievalReport)
    except (OSError, msgspec.DecodeError) as error:
        raise BadLabels(
            f"{file} isn't a report of 'braid eval retrieval' ({error}). Give the report.json of an earlier run."
        ) from None


def make_report(
    source: str,
    store: str,
    runs: Sequence[tuple[str, list[QuestionResult]]],
    *,
    score_threshold: float | None = None,
    least_probability: float = LEAST_PROBABILITY,
) -> RetrievalReport:
    """Make the report of one or more runs of the same questions; the first one is what others are compared with.

    Abstention is counted by the probability of an answer, but with a `score_threshold` by the best passage's score.

    Raises:
        BadLabels: Runs don't have the same questions.
    """
    limit = _Limit(least_probability, by_score=False)
    if score_threshold is not None:
        limit = _Limit(score_threshold, by_score=True)
    configurations = [_summarise(name, results, limit) for name, results in runs]
    baseline = configurations[0]
    comparisons = [_compare(other, baseline, half) for other in configurations[1:] for half in baseline.halves]
    return RetrievalReport(source, store, score_threshold, configurations, comparisons, least_probability)


@dataclass(frozen=True, slots=True)
class _Limit:
    """The value below which a question is abstained from, by its best score or by the probability of an answer."""

    value: float
    by_score: bool

    def read(self, results: Sequence[QuestionResult]) -> list[TopScore] | None:
        """Return what is compared with the limit; None where it isn't known of every question."""
        if self.by_score:
            return [result.top_score for result in results]
        if any(result.probability is None for result in results):
            return None
        return [result.likeliness for result in results]


def _summarise(name: str, results: list[QuestionResult], limit: _Limit) -> Configuration:
    by_half: dict[Half, list[QuestionResult]] = {}
    order: tuple[Half, Half] = ("tune", "report")
    for half in order:
        if of_half := [result for result in results if result.half == half]:
            by_half[half] = of_half
    tuned = choose_threshold(limit.read(by_half.get("tune", [])) or [])
    return Configuration(
        name=name,
        halves={half: _measure(of_half, limit, None if half == "tune" else tuned) for half, of_half in by_half.items()},
        tuned_threshold=tuned,
        results=results,
    )


def _measure(results: Sequence[QuestionResult], limit: _Limit, tuned: float | None) -> RetrievalFigures:
    answerable = [result for result in results if result.answerable]
    seconds = sorted(result.seconds for result in results)
    tops = limit.read(results)
    return RetrievalFigures(
        questions=len(results),
        answerable=len(answerable),
        metrics={
            name: estimate_mean([result.metrics[name] for result in answerable]) for name in METRICS if answerable
        },
        abstention=None if tops is None else measure_abstention(tops, limit.value),
        tuned_abstention=None if tuned is None or tops is None else measure_abstention(tops, tuned),
        p50=_find_quantile(seconds, 0.5),
        p95=_find_quantile(seconds, 0.95),
    )


def _find_quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that so large a share of the values doesn't exceed."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)]


def _compare(other: Configuration, baseline: Configuration, half: Half) -> ConfigurationDifference:
    theirs = {result.id: result for result in other.results if result.half == half and result.answerable}
    ours = [result for result in baseline.results if result.half == half and result.answerable]
    if {result.id: result.text for result in ours} != {id: result.text for id, result in theirs.items()}:
        raise BadLabels(
            f"{other.name!r} and {baseline.name!r} weren't asked the same questions, so they can't be compared. "
            "Run both with the same file of questions."
        )
    differences: dict[str, Estimate] = {}
    for name in METRICS if ours else ():
        scores = [theirs[result.id].metrics[name] for result in ours]
        differences[name] = estimate_mean_difference(scores, [result.metrics[name] for result in ours])
    return ConfigurationDifference(
        configuration=other.name,
        baseline=baseline.name,
        half=half,
        differences=differences,
        better=[name for name, difference in differences.items() if difference.low > 0],
        worse=[name for name, difference in differences.items() if difference.high < 0],
    )
