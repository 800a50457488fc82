"""Questions without an answer: a quarter of the FAQs' answers is taken out, and foreign questions are added."""

from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.models import LabelledSet, Question, draw
from tests.bench.retrieval.near_names import make_near_names

__all__ = ["make_unanswered"]

_FOREIGN = 60


def make_unanswered() -> LabelledSet:
    """Leave every fourth question in while its answer is out: near its topics, and answered by none of them."""
    faq = read_faq()
    out = {document.id for document in faq.documents if draw(document.id, 4) == 0}
    questions = [
        Question(question.id, question.text, [] if question.documents[0] in out else question.documents)
        for question in faq.questions
    ]
    foreign = sorted(make_near_names().questions, key=lambda question: draw(question.text, 2**32))[:_FOREIGN]
    questions += [Question(f"far-{question.id}", question.text, []) for question in foreign]
    return LabelledSet([document for document in faq.documents if document.id not in out], questions)
