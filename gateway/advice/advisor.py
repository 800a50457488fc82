"""Makes an advice: looks at the rows, asks every arm, judges, and writes it down."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.advice.arms import Arm, PromptKit, list_arms
from gateway.advice.halves import Halves, split_halves, to_row
from gateway.advice.measure import ArmMeasurer, count_steps
from gateway.advice.measurements import AdviceMeasurements, RowAnswers
from gateway.advice.prompt_texts import make_kit
from gateway.advice.recommendation import decide
from gateway.advice.report import AdviceReport, make_figures, make_rows
from gateway.advice.row_facts import FactsLook, find_row_facts, look_at_facts
from gateway.advice.scores import score_arms
from gateway.advice.stale import list_changed_facts
from gateway.advice.targets import AdapterParts, NamedPrompt, find_adapter, find_prompt, make_target
from gateway.advice.words import write_words
from gateway.answering.retrieve import gather_epochs
from gateway.conversations.conversation import Conversation, encode_conversations
from gateway.conversations.findings import RowFact
from gateway.evaluation.even_sample import thin_out
from gateway.evaluation_jobs import EvaluationRow
from gateway.evaluation_jobs.advice_inputs import AdviceInputs
from gateway.fine_tuning.estimate import Price
from gateway.fine_tuning.fact_schemas import StaleFact
from gateway.fine_tuning.learnt_facts import open_store_facts
from gateway.fine_tuning.rehearsal import choose_rehearsal
from gateway.fine_tuning.service import estimate_cost
from gateway.fine_tuning.stale_facts import StaleFactsService
from gateway.gates.bounds import LEAST_ROWS
from gateway.gates.interview import Notes
from gateway.gates.judging_parts import JudgingParts
from gateway.gates.learnt_rows import read_learnt_rows
from gateway.gates.row_evidence import RowEvidence
from gateway.jobs import Claim, JobFailed
from gateway.vector_stores.version_texts import list_version_times
from training.spec import Recipe

__all__ = ["Advisor"]

_MOST_LOOKED_AT = 400
"""Conversations of the half that isn't asked whose facts are looked up: each may be a search."""


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is known before anything is asked."""

    tenant: str
    store: str | None
    adapter_name: str | None
    adapter: AdapterParts | None
    prompt: NamedPrompt | None
    halves: Halves
    rows: list[Conversation]
    facts: Mapping[int, tuple[RowFact, ...]]
    look: FactsLook
    learnt_rows: Collection[int]
    unknown: Sequence[str]
    recorded: Sequence[StaleFact]
    kit: PromptKit
    arms: list[Arm]
    missing: dict[str, str]


class Advisor:
    """Makes advice, for the handler of evaluations; a run that was killed asks only what wasn't noted."""

    def __init__(self, parts: JudgingParts, price: Price) -> None:
        self._parts = parts
        self._price = price

    async def advise(
        self,
        claim: Claim,
        row: EvaluationRow,
        inputs: AdviceInputs,
        show: Callable[[int, int], Awaitable[None]],
    ) -> AdviceReport:
        """Make the report; `show` is called with the questions that were asked, and all of them.

        Raises:
            JobFailed: Too few rows are left to ask.
            NotFound: The store, the adapter or the prompt is gone.
            EngineError: No engine answers.
            Unavailable: The retriever doesn't answer.
            JobCancelled: The owner cancelled it.
        """
        case = await self._prepare(claim.tenant, row.stores[0] if row.stores else None, inputs)
        if case.adapter is not None:
            await self._parts.wait_for_adapters([case.adapter.target])
        # With a store passages are what documents say now, not what a row was once answered from.
        rows = [to_row(one, passages=case.store is None) for one in case.rows]
        total = count_steps(case.arms, case.facts, rows)

        async def note(count: int) -> None:
            await show(count, total)

        notes = Notes(claim, note)
        await notes.save()
        base = self._parts.base_model
        interview = self._parts.make_interview(claim.tenant, notes)
        targets = {arm: make_target(arm, base, case.adapter, case.store, case.prompt) for arm in case.arms}
        searching = make_target(Arm("none", True), base, None, case.store)
        evidence = RowEvidence(self._parts.searcher, claim.tenant, searching)
        try:
            answers = await ArmMeasurer(interview, targets, case.kit, evidence).measure(rows, case.facts)
        finally:
            await notes.save()
        training = await self._estimate(base, case.halves.training)
        return await asyncio.to_thread(_make_report, case, row.source, base, answers, training)

    async def _prepare(self, tenant: str, store: str | None, inputs: AdviceInputs) -> _Case:
        adapter: AdapterParts | None = None
        recorded: Sequence[StaleFact] = ()
        if inputs.adapter is not None:
            async with self._parts.database.read() as session:
                adapter = await find_adapter(session, tenant, inputs.adapter)
            stale = StaleFactsService(self._parts.database, self._parts.retriever, self._parts.artifacts, tenant)
            recorded = (await stale.list(inputs.adapter)).data
        async with self._parts.database.read() as session:
            prompt = await find_prompt(session, tenant, inputs.prompt, inputs.variables)
        adapter_rows = await asyncio.to_thread(
            read_learnt_rows, self._parts.artifacts, adapter.files if adapter else []
        )
        pairs = frozenset((one.messages[-1].content or "", one.reply) for one in adapter_rows.replies)
        halves = await asyncio.to_thread(split_halves, inputs.conversations, pairs)
        _check_rows(halves)
        rows = thin_out(halves.held_out, inputs.rows)
        facts, look = await self._look_up(tenant, store, [*thin_out(halves.training, _MOST_LOOKED_AT), *rows])
        kit = await asyncio.to_thread(make_kit, halves.training)
        arms, missing = list_arms(
            has_system=any(one.role in ("system", "developer") for row in rows for one in row.messages),
            kit=kit,
            adapter=adapter is not None,
            facts=store is not None or any(one.passages for one in rows),
            prompt=prompt.reference if prompt else "",
        )
        learnt_rows = {one.number for one in halves.training} if halves.learnt else set[int]()
        return _Case(
            *(
                tenant,
                store,
                inputs.adapter,
                adapter,
                prompt,
                halves,
                rows,
                facts,
                look,
                learnt_rows,
                adapter_rows.unknown,
            ),
            *(recorded, kit, arms, missing),
        )

    async def _look_up(
        self, tenant: str, store: str | None, conversations: Sequence[Conversation]
    ) -> tuple[Mapping[int, tuple[RowFact, ...]], FactsLook]:
        """Look the facts of replies up, and how often the documents change that they are from."""
        index = None
        if store is not None:
            parts = (self._parts.database, self._parts.retriever, self._parts.artifacts, tenant)
            index = await open_store_facts(*parts, [store])
        facts = await find_row_facts(index, conversations)
        documents = {fact.document for some in facts.values() for fact in some if fact.document}
        async with self._parts.database.read() as session:
            times = await list_version_times(session, tenant, documents)
        return facts, look_at_facts(facts, times, time.time())

    async def _estimate(self, base: str, conversations: Sequence[Conversation]) -> dict[str, Any]:
        """Estimate what a job of these rows shows when it is made, with the base's own answers among them."""
        model, rows, size = self._parts.traits.base, len(conversations), len(encode_conversations(conversations))
        traits = await asyncio.to_thread(model.find_training_traits) if model is not None else None
        answers = choose_rehearsal(None, "supervised", rows, traits).answers
        recipe = Recipe.for_rows(rows + answers)
        async with self._parts.database.read() as session:
            return await estimate_cost(session, base, "supervised", recipe, rows, size, self._price, answers)


def _check_rows(halves: Halves) -> None:
    if len(halves.held_out) < LEAST_ROWS:
        raise JobFailed(
            "too_few_rows",
            f"{halves.learnt} of the conversations are among those that the adapter has learnt, and "
            f"{len(halves.held_out)} are left to ask: fewer than {LEAST_ROWS} decide nothing. Give conversations that "
            "it hasn't learnt.",
        )


def _make_report(
    case: _Case, source: str, base: str, answers: Sequence[RowAnswers | None], training: dict[str, Any]
) -> AdviceReport:
    rows = [one for one in answers if one is not None]
    if len(rows) < LEAST_ROWS:
        raise JobFailed(
            "too_few_rows",
            f"{len(rows)} of {len(answers)} conversations fit into the model's context in every way that was tried: "
            f"fewer than {LEAST_ROWS} decide nothing. Give shorter ones.",
        )
    documented = any(arm.facts for arm in case.arms)
    replies = [one.messages[-1].text for one in case.halves.training]
    skipped = [row.number for row, one in zip(case.rows, answers, strict=True) if one is None]
    scores = score_arms(AdviceMeasurements(rows, skipped, replies, documented), case.arms)
    recommendation = decide(scores, unknown=bool(case.unknown))
    figures = make_figures(scores, case.arms, training)
    changed_facts = list_changed_facts(case.facts, case.learnt_rows, case.recorded, rows)
    words = write_words(
        *(recommendation, figures, case.look, changed_facts, training),
        adapter=case.adapter_name,
        prompt=case.prompt.reference if case.prompt else None,
        unknown=case.unknown,
        has_documents=documented,
        bounded=scores.bounded,
    )
    return AdviceReport(
        created_at=int(time.time()),
        source=source,
        base=base,
        adapter=case.adapter_name,
        prompt=case.prompt.reference if case.prompt else None,
        store=case.store or "",
        conversations=len(case.halves.training) + len(case.halves.held_out),
        learnt=case.halves.learnt,
        unknown=list(case.unknown),
        held_out=len(case.halves.held_out),
        rows=len(rows),
        skipped=skipped,
        index_epochs=gather_epochs(row.index_epochs for row in rows),
        look=case.look,
        changed=changed_facts,
        bounded=scores.bounded,
        rules={rule.name: rule.reason for rule in scores.rules.rules},
        guide=case.kit.guide,
        examples=list(case.kit.examples),
        arms=figures,
        missing=case.missing,
        comparisons=list(recommendation.comparisons),
        training=training,
        arm=recommendation.arm.name,
        label=next(arm.label for arm in case.arms if arm == recommendation.arm),
        needs_style=recommendation.needs_style,
        gains_facts=recommendation.gains_facts,
        use=words.use,
        avoid=words.avoid,
        next=words.next,
        answers=make_rows(rows, recommendation),
    )
