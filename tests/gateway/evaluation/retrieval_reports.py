"""Reports of retrieval for tests, from rankings that are written down."""

from gateway.evaluation.labels import LabelledQuestion, find_half
from gateway.evaluation.retrieval_report import RetrievalReport, make_report
from gateway.evaluation.retrieval_run import Hit, QuestionResult, RunHits, score_run

__all__ = ["QUESTIONS", "make_results", "make_sample"]

QUESTIONS = [LabelledQuestion(f"q{n}", f"What is in drawer {n}?", {f"d{n}": 1} if n % 4 else {}) for n in range(40)]


def make_results(
    place: int, questions: list[LabelledQuestion] = QUESTIONS, likely: tuple[float, float] | None = (0.8, 0.1)
) -> list[QuestionResult]:
    """Put each question's document at a place, from 1; questions without one have low scores.

    `likely` are the probabilities of an answer, of those that have one and of the others; None where nobody knows.
    """
    run: dict[str, RunHits] = {}
    for number, question in enumerate(questions):
        others = [f"x{n}" for n in range(place - 1)]
        top = 0.9 if question.answerable else 0.2
        names = [*others, *question.documents, "x99"]
        hits = [Hit(name, top - n / 100) for n, name in enumerate(names)]
        probability = None if likely is None else likely[not question.answerable]
        run[question.id] = RunHits(hits, 0.010 + number / 1000, probability)
    return score_run(questions, run)


def make_sample(*places: int) -> RetrievalReport:
    runs = [(f"place {place} <of all>", make_results(place)) for place in places]
    return make_report("questions.csv", "handbook", runs)


assert {find_half(question.text) for question in QUESTIONS} == {"tune", "report"}
