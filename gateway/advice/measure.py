"""Asks every arm every held-out row, with the same passages for all."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.advice.arms import Arm, PromptKit, make_messages
from gateway.advice.measurements import ArmAnswer, RowAnswers
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE, Evidence
from gateway.conversations.findings import RowFact
from gateway.errors import BadRequest
from gateway.evaluation.faithfulness import abstains, score_support
from gateway.gates.held_out_rows import HeldOutRow
from gateway.gates.interview import Interview
from gateway.gates.row_evidence import NOTHING, RowEvidence
from gateway.task_group import await_each

__all__ = ["ArmMeasurer", "count_steps"]

_ROWS_AT_ONCE = 8


def count_steps(arms: Sequence[Arm], facts: Mapping[int, Sequence[RowFact]], rows: Sequence[HeldOutRow]) -> int:
    """Return about how many questions the engines get."""
    again = sum(arm.facts for arm in arms)
    return len(arms) * len(rows) + again * sum(bool(facts[row.number]) for row in rows)


def _bring_up_to_date(fact: RowFact, evidence: Evidence) -> RowFact:
    """Add what the row's own passages say of a changed fact's document now: any of it may have the new value."""
    if fact.place != "changed":
        return fact
    texts = [one.text for one in evidence.passages if one.key == fact.key]
    return msgspec.structs.replace(fact, passage="\n".join([fact.passage, *texts]))


class ArmMeasurer:
    """Measures the rows of one advice.

    Args:
        interview: Asks, and remembers.
        arms: What is asked, each with its target.
        kit: The texts of those that live in the prompt.
        evidence: Finds the passages of a row.
    """

    def __init__(self, interview: Interview, arms: Mapping[Arm, Target], kit: PromptKit, evidence: RowEvidence) -> None:
        self._interview = interview
        self._arms = arms
        self._kit = kit
        self._evidence = evidence

    async def measure(
        self, rows: Sequence[HeldOutRow], facts: Mapping[int, tuple[RowFact, ...]]
    ) -> list[RowAnswers | None]:
        """Ask the rows; None stands for one that doesn't fit into the context.

        Raises:
            EngineError: No engine answered.
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
            JobCancelled: The advice was cancelled.
        """
        return await await_each(lambda row: self._measure_row(row, facts[row.number]), rows, at_once=_ROWS_AT_ONCE)

    async def _measure_row(self, row: HeldOutRow, facts: tuple[RowFact, ...]) -> RowAnswers | None:
        evidence = await self._evidence.find(row) if any(arm.facts for arm in self._arms) else NO_EVIDENCE
        try:
            bodies = {arm: await self._compose(arm, row, evidence if arm.facts else NO_EVIDENCE) for arm in self._arms}
        except BadRequest:
            return None
        answers = {arm.name: await self._ask(arm, row, body, facts) for arm, body in bodies.items()}
        return RowAnswers(
            number=row.number,
            question=row.question,
            reply=row.reply,
            facts=tuple(_bring_up_to_date(fact, evidence) for fact in facts),
            passages=len(evidence.passages),
            index_epochs=evidence.index_epochs,
            answers=answers,
        )

    async def _compose(self, arm: Arm, row: HeldOutRow, evidence: Evidence) -> bytes:
        return await self._interview.compose(self._arms[arm], make_messages(arm, row, self._kit), evidence)

    async def _ask(self, arm: Arm, row: HeldOutRow, body: bytes, facts: Sequence[RowFact]) -> ArmAnswer:
        answer = await self._interview.ask(self._arms[arm], body)
        sources = self._list_sources(body)
        supported = score_support(answer.text, sources)
        abstention: float | None = None
        if facts:
            abstention = await self._ask_without(arm, row) if arm.facts else float(abstains(answer.text, sources))
        return ArmAnswer(
            answer.text, answer.prompt_tokens, answer.completion_tokens, answer.seconds, supported, abstention
        )

    async def _ask_without(self, arm: Arm, row: HeldOutRow) -> float:
        body = await self._compose(arm, row, NOTHING)
        answer = await self._interview.answer(self._arms[arm], body)
        return float(abstains(answer, self._list_sources(body)))

    def _list_sources(self, body: bytes) -> list[str]:
        """List what stands in a prompt and may be stated: all but the examples, whose values are of other questions."""
        examples = {text for pair in self._kit.examples for text in pair}
        texts = [message.get("content") or "" for message in msgspec.json.decode(body)["messages"]]
        return [text for text in texts[:-1] if text not in examples] + texts[-1:]
