"""Replays of cases: answers of a release and its variants, with the passages that they are shown, and their tallies.

Answers are sampled as the release says, each with a seed of its own; at temperature 0 all are the same, and only one is
asked for.
"""

from collections.abc import Sequence
from typing import Any

from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.diagnoses.answer_judge import ExpectedFacts, Voice
from gateway.diagnoses.attribution import AnswerTally, Aspect
from gateway.diagnoses.cases import Case
from gateway.gates.interview import ANSWER_TOKENS, Interview
from gateway.task_group import await_each

__all__ = ["Replay", "answers_alike"]


def answers_alike(target: Target) -> bool:
    """Tell whether a target gives the same answer to every seed: at temperature 0."""
    return (target.sampling or {}).get("temperature") == 0


class Replay:
    """Asks for answers, and judges them.

    Args:
        first_seed: Of the first answer: other seeds make answers that nothing was chosen by.
    """

    def __init__(self, interview: Interview, voice: Voice, first_seed: int = 1) -> None:
        self._interview = interview
        self._voice = voice
        self._first_seed = first_seed

    async def answer(self, target: Target, messages: Sequence[Message], evidence: Evidence, count: int) -> list[str]:
        """Return so many answers.

        Raises:
            BadRequest: The question doesn't fit into the context.
            EngineError: No engine answered.
        """
        sampling = target.sampling or {}
        # The prompt is the same each time, so that engines read it once.
        seeds = range(self._first_seed, self._first_seed + (1 if answers_alike(target) else count))
        answers = await await_each(lambda seed: self._ask(target, messages, evidence, sampling, seed), seeds)
        return answers * (count // len(answers))

    async def count_right(
        self, target: Target, case: Case, facts: ExpectedFacts, evidence: Evidence, samples: int, aspect: Aspect
    ) -> AnswerTally:
        """Return how many of so many answers to a case are right."""
        answers = await self.answer(target, case.messages, evidence, samples)
        return AnswerTally(sum(self.accept(answer, facts, aspect) for answer in answers), len(answers))

    def accept(self, answer: str, facts: ExpectedFacts, aspect: Aspect) -> bool:
        """Tell whether an answer states what it should, and has the voice, where that is judged too."""
        return facts.is_stated_in(answer) and (aspect == "facts" or self._voice.matches(answer))

    async def list_used(self, target: Target, case: Case, evidence: Evidence) -> Sequence[int]:
        """Return the numbers of the passages that fit into the prompt; raises as `answer` does."""
        if not evidence.passages:
            return ()
        parameters = _make_parameters(target.sampling or {}, self._first_seed)
        prompt = await self._interview.compose_whole(target, case.messages, evidence, parameters)
        return () if prompt.rendering is None else prompt.rendering.used_passages

    async def _ask(
        self, target: Target, messages: Sequence[Message], evidence: Evidence, sampling: dict[str, Any], seed: int
    ) -> str:
        parameters = _make_parameters(sampling, seed)
        prompt = await self._interview.compose_whole(target, messages, evidence, parameters)
        return await self._interview.answer(target, prompt.body)


def _make_parameters(sampling: dict[str, Any], seed: int) -> dict[str, Any]:
    return {"seed": seed, "max_tokens": sampling.get("max_tokens") or ANSWER_TOKENS}
