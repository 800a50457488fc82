from gateway.answers.tables import AnswerRow
from gateway.db import Repository

__all__ = ["AnswerRepository"]


class AnswerRepository(Repository[AnswerRow]):
    table = AnswerRow
    noun = "answer"
