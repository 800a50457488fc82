"""An evaluation: cases asked of a running gateway, some of them timed, and scored."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.client import Client
from gateway.evaluation.answers import Variant, ask
from gateway.evaluation.scoring import FactQuestion, ScoredAnswer, score_answer
from gateway.evaluation.style import StyleRules

__all__ = ["EvaluationCase", "evaluate"]


@dataclass(frozen=True, slots=True)
class EvaluationCase:
    """One question in one variant.

    Attributes:
        group: Whose question it is, such as a tenant.
        timed: Whether it is asked while nothing else runs, so that its times mean something.
    """

    group: str
    client: Client
    variant: Variant
    question: FactQuestion
    style: StyleRules
    timed: bool = False


async def evaluate(
    cases: Sequence[EvaluationCase],
    *,
    max_tokens: int,
    concurrency: int = 8,
    on_answer: Callable[[int, EvaluationCase], None] = lambda count, case: None,
) -> list[ScoredAnswer]:
    """Ask every case: first the timed ones, one after the other, then the rest `concurrency` at once.

    Args:
        cases: What to ask.
        max_tokens: The longest answer.
        concurrency: Cases that are asked at the same time.
        on_answer: Takes the number of answers so far, and the case that was answered.

    Raises:
        ClientError: A case can't be answered.
    """
    answers: list[ScoredAnswer] = []

    async def answer(case: EvaluationCase) -> None:
        reply = await ask(case.client, case.variant, case.question.question, max_tokens=max_tokens)
        answers.append(score_answer(case.group, case.question, case.variant, reply, case.style, timed=case.timed))
        on_answer(len(answers), case)

    for case in cases:
        if case.timed:
            await answer(case)
    slots = asyncio.Semaphore(concurrency)

    async def answer_in_turn(case: EvaluationCase) -> None:
        async with slots:
            await answer(case)

    try:
        async with asyncio.TaskGroup() as group:
            for case in cases:
                if not case.timed:
                    group.create_task(answer_in_turn(case))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return answers
