"""A run: every labelled question searched for in one way, and the ranking of documents that came of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from gateway.evaluation.abstention import TopScore
from gateway.evaluation.labels import Half, LabelledQuestion
from gateway.evaluation.ranking_metrics import score_rankings

__all__ = [
    "Hit",
    "QuestionResult",
    "RunHits",
    "Search",
    "SearchHits",
    "rank_documents",
    "score_run",
    "search_questions",
]

_MOST_LISTED = 20


class Hit(Struct, frozen=True):
    """A passage's document, by key, and its score."""

    document: str
    score: float


@dataclass(frozen=True, slots=True)
class SearchHits:
    """A search's passages, best first, and the probability that the best of them answer; None where nobody knows it."""

    hits: Sequence[Hit]
    probability: float | None = None


Search = Callable[[str], Awaitable[SearchHits]]
"""Searches for a text."""


@dataclass(frozen=True, slots=True)
class RunHits:
    """A search's passages for one question, its time in seconds, and the probability that they answer."""

    hits: Sequence[Hit]
    seconds: float
    probability: float | None = None


class QuestionResult(Struct, frozen=True):
    """One question in one configuration.

    Attributes:
        expected: The documents that answer it.
        ranking: The first documents, each with the score of its best passage.
        metrics: By name; empty where the question has no answer.
        seconds: Time of the search.
        probability: That of an answer in the passages that a release by its defaults would show; None where it isn't
            known, as in reports from before it was.
    """

    id: str
    text: str
    half: Half
    expected: list[str]
    ranking: list[Hit]
    metrics: dict[str, float]
    seconds: float
    probability: float | None = None

    @property
    def answerable(self) -> bool:
        return bool(self.expected)

    @property
    def likeliness(self) -> TopScore:
        """The probability of an answer, as a score."""
        return TopScore(self.probability, self.answerable)

    @property
    def top_score(self) -> TopScore:
        return TopScore(self.ranking[0].score if self.ranking else None, self.answerable)


def rank_documents(hits: Iterable[Hit]) -> list[Hit]:
    """Return each document once, by its best passage; the order of the passages stays."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.document, hit)
    return list(best.values())


async def search_questions(
    questions: Sequence[LabelledQuestion], search: Search, on_progress: Callable[[int], None] = lambda count: None
) -> dict[str, RunHits]:
    """Search for one question after the other, so that the times mean something; return what each had, by its id."""
    run: dict[str, RunHits] = {}
    for count, question in enumerate(questions, 1):
        start = time.perf_counter()
        result = await search(question.text)
        run[question.id] = RunHits(result.hits, time.perf_counter() - start, result.probability)
        on_progress(count)
        await asyncio.sleep(0)
    return run


def score_run(questions: Sequence[LabelledQuestion], run: Mapping[str, RunHits]) -> list[QuestionResult]:
    """Score a run; its hits and the labels name documents in the same way."""
    rankings = {id: rank_documents(one.hits) for id, one in run.items()}
    scores = score_rankings(
        {question.id: question.documents for question in questions if question.answerable},
        {id: [hit.document for hit in ranking] for id, ranking in rankings.items()},
    )
    return [
        QuestionResult(
            id=question.id,
            text=question.text,
            half=question.half,
            expected=[document for document, grade in question.documents.items() if grade > 0],
            ranking=rankings[question.id][:_MOST_LISTED],
            metrics=scores.get(question.id, {}),
            seconds=round(run[question.id].seconds, 6),
            probability=run[question.id].probability,
        )
        for question in questions
    ]
