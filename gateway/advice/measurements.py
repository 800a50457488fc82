"""The raw figures of an advice: what each arm answered to each row."""

import msgspec

from gateway.conversations.findings import RowFact

__all__ = ["AdviceMeasurements", "ArmAnswer", "RowAnswers"]


class ArmAnswer(msgspec.Struct, frozen=True):
    """An arm's answer to a row.

    Attributes:
        seconds: As long as the engine took, beside other questions of the same advice.
        supported: The share of the answer's values that stand in its prompt; 1 where it states none.
        abstains: 1 where it states no value of its own when no passage is there; None where the row has no fact, so
            that it says nothing.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    supported: float
    abstains: float | None = None


class RowAnswers(msgspec.Struct, frozen=True):
    """One held-out row with its facts, the passages that were found for it, and the answers by arm."""

    number: int
    question: str
    reply: str
    facts: tuple[RowFact, ...]
    passages: int
    index_epochs: dict[str, int]
    answers: dict[str, ArmAnswer]


class AdviceMeasurements(msgspec.Struct, frozen=True):
    """All of them.

    Attributes:
        skipped: Numbers of rows that don't fit into the context in every arm.
        replies: Those of the half that isn't asked: rules are learnt from them.
        documented: Whether documents, or passages, were looked into for facts.
    """

    rows: list[RowAnswers]
    skipped: list[int]
    replies: list[str]
    documented: bool
