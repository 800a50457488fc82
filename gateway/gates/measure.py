"""Asks the contestants everything that a gate has to know."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.conversations.languages import find_language
from gateway.errors import BadRequest
from gateway.evaluation.base_suite import BaseSuite, SuitePrompt, identify_prompts
from gateway.evaluation.faithfulness import (
    Counterfactual,
    FaithfulnessScore,
    abstains,
    make_counterfactual,
    score_citations,
    score_support,
)
from gateway.evaluation.refusals import declines
from gateway.gates.checks import Check, GateOptions
from gateway.gates.contestants import Contestant, Contestants
from gateway.gates.held_out_rows import HeldOutRow, LearntReply
from gateway.gates.interview import Interview, Likelihood
from gateway.gates.judge import judge_suite
from gateway.gates.looks import is_decided, plan_looks
from gateway.gates.measurements import GateMeasurements, NeutralMeasurement, RowMeasurement, SuiteMeasurement
from gateway.gates.row_evidence import NOTHING, RowEvidence, rewrite_passages
from gateway.task_group import await_each

__all__ = ["Measurer", "count_questions"]

_ROWS_AT_ONCE = 8
_PROMPTS_AT_ONCE = 8
_MOST_CANARY_ROWS = 50


def count_questions(contestants: Contestants, rows: int, suite: BaseSuite, prompts: int) -> int:
    """Return about how many questions the engines get; those that several contestants share are asked once.

    Of the suite so many prompts are asked.
    """
    part = suite.prompt[:prompts]
    each = len(contestants.list_all())
    judges_style = contestants.candidate.target.adapter is not None
    own = 4 if judges_style else 0
    compared = (1 if judges_style else 2) if contestants.compares_style else 0
    answers = 3 if contestants.candidate.target.retrieval is not None else 1
    refusals = sum(prompt.refuses for prompt in part) if contestants.has_own_prompt else 0
    return rows * (each * answers + own + compared) + each * (len(part) + len(suite.neutral) + refusals)


class Measurer:
    """Measures one gate; see `GateMeasurements`."""

    def __init__(
        self,
        interview: Interview,
        contestants: Contestants,
        evidence: RowEvidence,
        suite: BaseSuite,
        options: GateOptions,
    ) -> None:
        self._interview = interview
        self._contestants = contestants
        self._evidence = evidence
        self._suite = suite
        self._options = options
        self._looks = plan_looks(options.general_prompts, len(suite.prompt))
        self._look = self._looks[0]

    def count(self, rows: int) -> int:
        """Return about how many questions there are with so many rows, by the prompts up to the next look."""
        return count_questions(self._contestants, rows, self._suite, self._look.prompts)

    async def measure(self, rows: Sequence[HeldOutRow], replies: Sequence[LearntReply]) -> GateMeasurements:
        """Ask for all that the gate measures.

        Raises:
            EngineError: No engine answered.
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
            JobCancelled: The gate's owner cancelled it.
        """
        numbered = list(enumerate(rows))
        results = await await_each(lambda one: self._measure_row(*one), numbered, at_once=_ROWS_AT_ONCE)
        suite, prompted = await self._ask_in_rounds()
        canaries = self._options.canaries
        candidate = self._contestants.candidate.target
        return GateMeasurements(
            rows=[one for one in results if one is not None],
            skipped=[row.number for row, one in zip(rows, results, strict=True) if one is None],
            suite=suite,
            prompted=prompted,
            neutral=[one for text in self._suite.neutral if (one := await self._score_neutral(text.text)) is not None],
            learnt_replies=[one.reply for one in replies],
            canaries=canaries,
            canary_answers=await self._ask_for_canaries(replies, canaries),
            judges_style=candidate.adapter is not None,
            compares_style=self._contestants.compares_style,
            judges_prompt=self._contestants.has_own_prompt,
            judges_faithfulness=candidate.retrieval is not None,
            faithful_baseline=self._contestants.faithful_baseline.name,
            look=self._look,
            suite_digest=identify_prompts(self._suite.prompt[: self._look.prompts]),
        )

    async def _ask_in_rounds(self) -> tuple[list[SuiteMeasurement], list[SuiteMeasurement]]:
        """Ask prompts of the suite up to each look, until they decide; see `plan_looks`."""
        suite: list[SuiteMeasurement] = []
        prompted: list[SuiteMeasurement] = []
        for look in self._looks:
            self._look = look
            prompts = self._suite.prompt[len(suite) : self._look.prompts]
            answers = await await_each(self._ask_suite, prompts, at_once=_PROMPTS_AT_ONCE)
            suite += answers
            if self._contestants.has_own_prompt:
                pairs = zip(prompts, answers, strict=True)
                refusals = [prompt for prompt, one in pairs if prompt.refuses and one.passed["base"]]
                prompted += await await_each(self._ask_prompted, refusals, at_once=_PROMPTS_AT_ONCE)
            if look is self._looks[-1] or is_decided(await asyncio.to_thread(self._judge, suite, prompted)):
                break
        return suite, prompted

    def _judge(self, suite: Sequence[SuiteMeasurement], prompted: Sequence[SuiteMeasurement]) -> list[Check]:
        return judge_suite(
            suite,
            prompted if self._contestants.has_own_prompt else None,
            self._options.thresholds,
            self._contestants.baseline.label,
            self._look,
        )

    async def _measure_row(self, number: int, row: HeldOutRow) -> RowMeasurement | None:
        """Measure a row with the same passages for all; None where it doesn't fit into the context."""
        evidence = await self._evidence.find(row)
        try:
            bodies = {one.name: await self._compose(one, row, evidence) for one in self._contestants.list_all()}
        except BadRequest:
            return None
        answers = {
            one.name: await self._interview.answer(one.target, bodies[one.name]) for one in self._contestants.list_all()
        }
        likelihoods, controls = await self._score_likelihoods(number, row, bodies)
        return RowMeasurement(
            number=row.number,
            question=row.question,
            reply=row.reply,
            passages=len(evidence.passages),
            index_epochs=evidence.index_epochs,
            answers=answers,
            likelihoods=likelihoods,
            controls=controls,
            faithfulness=await self._score_faithfulness(row, evidence, bodies, answers) if evidence.passages else {},
        )

    async def _compose(self, contestant: Contestant, row: HeldOutRow, evidence: Evidence) -> bytes:
        return await self._interview.compose(contestant.target, row.messages, evidence)

    async def _score_likelihoods(
        self, number: int, row: HeldOutRow, bodies: dict[str, bytes]
    ) -> tuple[dict[str, Likelihood], dict[str, Likelihood]]:
        """Score the reply, and a made-up tenant's in its place: what is likelier there too isn't a tenant's style."""
        candidate, current = self._contestants.candidate, self._contestants.current
        own = [candidate, self._contestants.base] if candidate.target.adapter is not None else []
        versions = [candidate, current] if current is not None and self._contestants.compares_style else []
        contestants = {one.name: one for one in (*own, *versions)}
        replies = {name: await self._score(one, bodies, row.reply) for name, one in contestants.items()}
        other = _choose_voice(self._suite, number, row.reply)
        controls = {one.name: await self._score(one, bodies, other) for one in own}
        likelihoods = {name: one for name, one in replies.items() if one is not None}
        others = {name: one for name, one in controls.items() if one is not None}
        fits = len(likelihoods) == len(replies) and len(others) == len(controls)
        return (likelihoods, others) if fits else ({}, {})

    async def _score(self, contestant: Contestant, bodies: dict[str, bytes], reply: str) -> Likelihood | None:
        return await self._interview.score_reply(contestant.target, bodies[contestant.name], reply)

    async def _score_faithfulness(
        self, row: HeldOutRow, evidence: Evidence, bodies: dict[str, bytes], answers: dict[str, str]
    ) -> dict[str, FaithfulnessScore]:
        conversation = "\n".join(message.content or "" for message in row.messages)
        passages = [passage.body for passage in evidence.passages]
        counterfactual = make_counterfactual(row.reply, passages, conversation)
        scores: dict[str, FaithfulnessScore] = {}
        for one in (self._contestants.candidate, self._contestants.faithful_baseline):
            citations = score_citations(answers[one.name], passages)
            scores[one.name] = FaithfulnessScore(
                supported=score_support(answers[one.name], _list_texts(bodies[one.name])),
                citations=citations,
                follows=None if counterfactual is None else await self._ask_changed(one, row, evidence, counterfactual),
                abstains=await self._ask_without(one, row),
                cites=float(citations is not None),
            )
        return scores

    async def _ask_changed(
        self, contestant: Contestant, row: HeldOutRow, evidence: Evidence, counterfactual: Counterfactual
    ) -> float:
        body = await self._compose(contestant, row, rewrite_passages(evidence, counterfactual.texts))
        return counterfactual.score(await self._interview.answer(contestant.target, body))

    async def _ask_without(self, contestant: Contestant, row: HeldOutRow) -> float:
        body = await self._compose(contestant, row, NOTHING)
        answer = await self._interview.answer(contestant.target, body)
        return float(abstains(answer, _list_texts(body)))

    async def _ask_suite(self, prompt: SuitePrompt) -> SuiteMeasurement:
        """Ask a prompt of the bare models.

        Also where the base fails: of those alone that it passes, some by a hair, any candidate could only lose.
        """
        base = await self._ask_bare(self._contestants.base, prompt.text)
        answer = await self._ask_bare(self._contestants.candidate, prompt.text)
        passed = {"base": prompt.check(base), "candidate": prompt.check(answer)}
        if (current := self._contestants.current) is not None:
            passed["current"] = prompt.check(await self._ask_bare(current, prompt.text))
        return SuiteMeasurement(prompt.kind, prompt.text, passed, answer)

    async def _ask_prompted(self, prompt: SuitePrompt) -> SuiteMeasurement:
        """Ask the releases behind their prompts what the bare base refuses; to know nothing of it will do too."""
        answer = await self._ask(self._contestants.candidate.prompted, prompt.text)
        passed = {"candidate": declines(answer)}
        if (current := self._contestants.current) is not None:
            passed["current"] = declines(await self._ask(current.prompted, prompt.text))
        else:
            passed["base"] = True
        return SuiteMeasurement(prompt.kind, prompt.text, passed, answer)

    async def _ask_bare(self, contestant: Contestant, text: str) -> str:
        return await self._ask(contestant.bare, text)

    async def _ask(self, target: Target, text: str) -> str:
        body = await self._interview.compose(target, [Message("user", text)])
        return await self._interview.answer(target, body)

    async def _score_neutral(self, text: str) -> NeutralMeasurement | None:
        scores: dict[str, float] = {}
        for one in (self._contestants.candidate, self._contestants.baseline):
            likelihood = await self._interview.score_text(one.target, text)
            if likelihood is None:
                return None
            scores[one.name] = likelihood.per_token
        return NeutralMeasurement(scores)

    async def _ask_for_canaries(self, replies: Sequence[LearntReply], canaries: Sequence[str]) -> list[str]:
        """Ask again what rows asked whose replies have a canary: the likeliest place for it to come out."""
        rows = [row for row in replies if any(canary in row.reply for canary in canaries)][:_MOST_CANARY_ROWS]
        candidate = self._contestants.candidate
        bare = replace(candidate.target, retrieval=None)
        return await await_each(lambda row: self._answer_learnt(replace(candidate, target=bare), row), rows)

    async def _answer_learnt(self, contestant: Contestant, row: LearntReply) -> str:
        body = await self._interview.compose(contestant.target, row.messages)
        return await self._interview.answer(contestant.target, body)


def _choose_voice(suite: BaseSuite, number: int, reply: str) -> str:
    """Choose the made-up reply that stands in a row's place, in the reply's language where there are some."""
    language = find_language(reply)
    voices = [one.text for one in suite.voice if one.language == language]
    voices = voices or [one.text for one in suite.voice if one.language == "english"]
    return voices[number % len(voices)]


def _list_texts(body: bytes) -> list[str]:
    """List what stands in a prompt: an answer may take its values from any of it."""
    return [message.get("content") or "" for message in msgspec.json.decode(body)["messages"]]
