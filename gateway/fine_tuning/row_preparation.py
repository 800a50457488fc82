"""The rows of a job that names stores for their evidence: searched, varied and rendered before they are trained on."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

import msgspec

from gateway.artifacts import Artifacts
from gateway.conversations import Conversation
from gateway.conversations.counterfactuals import Coverage, vary_rows
from gateway.conversations.facts_lint import FactsLint
from gateway.conversations.formats import read_conversations
from gateway.conversations.store_facts import StoreFacts
from gateway.counts import format_count
from gateway.db import Database
from gateway.engines.served_base_model import ServedBaseModel, choose_markers
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.files.service import find_file
from gateway.fine_tuning.dataset import choose_row_format
from gateway.fine_tuning.evidence_rows import (
    GroundedRow,
    choose_abstentions,
    encode_rows,
    list_abstentions,
    make_abstention,
    place_passages,
    withhold,
)
from gateway.fine_tuning.repository import FineTuningJobRepository
from gateway.fine_tuning.row_replacement import Notice, replace_rows
from gateway.fine_tuning.rows import RenderedFile, RowsUnusable, render_preferences, render_rows
from gateway.fine_tuning.schemas import EvidenceFigures, EvidenceOptions
from gateway.fine_tuning.tables import FineTuningJobRow
from gateway.jobs import Claim, JobCancelled, JobDelayed, JobFailed, failpoint
from gateway.prompts.service import get_prompt
from gateway.tenants.storage import TenantStorage
from gateway.vector_stores.search import StoreStates, read_states
from retrieval.client import Retriever
from training.dataset import Message, RowPassage, describe_problems
from training.spec import MINIMUM_ROWS

__all__ = ["RowPassageFinder", "RowPreparer"]

_AT_ONCE = 4  # of a retriever that others ask too
_ROUNDS = 3
_RETRIEVER_SECONDS = 5.0
_DESCRIBED_PROBLEMS = 5
_LISTED_ROWS = 100


class RowPassageFinder(Protocol):
    """Finds what a release with some stores would show for a conversation; serving's own code does it."""

    async def find(
        self, tenant: str, messages: Sequence[Message], states: StoreStates, top_k: int
    ) -> list[RowPassage] | None:
        """Return the passages, the best first; None for a turn that isn't searched for.

        Raises:
            Unavailable: The retriever can't answer now.
        """
        ...


class RowPreparer:
    """Prepares the rows of jobs, once per job; an interrupted one starts over, and equal documents give equal rows."""

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        artifacts: Artifacts,
        storage: TenantStorage,
        finder: RowPassageFinder,
        base: ServedBaseModel,
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._artifacts = artifacts
        self._storage = storage
        self._finder = finder
        self._base = base

    async def prepare(self, claim: Claim) -> bool:
        """Put rows with their passages in the place of the job's; tell whether it was done now.

        Raises:
            JobFailed: A store, the prompt or a file is gone, rows can't be rendered, too few have anything to learn
                from, or there is no room for them.
            JobDelayed: The retriever can't answer now.
            JobCancelled: The owner has cancelled the job.
        """
        async with self._database.read() as session:
            job = await FineTuningJobRepository(session, claim.tenant).get(claim.subject)
        if not job.braid.get("evidence") or job.braid.get("evidence_figures"):
            return False
        options = EvidenceOptions.model_validate(job.braid["evidence"])
        try:
            inputs = await self._read_inputs(job)
            grounded = await self._ground(claim, job, inputs.files, options)
        except Unavailable as error:
            raise JobDelayed(error.message, seconds=_RETRIEVER_SECONDS) from error
        except (BadRequest, NotFound) as error:
            raise JobFailed("evidence_missing", f"The rows can't get their passages. {error.message}") from error
        _check_size(grounded.files[0])
        files = [await asyncio.to_thread(_vary, rows, options, job.seed) for rows in grounded.files]
        contents = [await asyncio.to_thread(self._render, inputs, one.rows, job) for one in files]
        row_artifacts = [await self._artifacts.put_bytes(one.content) for one in contents]
        failpoint("rows-prepared")
        figures = _count(grounded.files[0], files[0], grounded.states)
        notices = _describe(figures, options.without, grounded)
        digests = [one.digest for one in row_artifacts]
        await replace_rows(
            claim,
            self._storage,
            dict(zip_longest(("rows_digest", "validation_rows_digest"), digests)),
            sum(one.size for one in row_artifacts),
            {"evidence_figures": figures.model_dump(), "prompt_digest": contents[0].prompt_digest},
            notices,
        )
        failpoint("rows-kept")
        return True

    async def _read_inputs(self, job: FineTuningJobRow) -> "_Inputs":
        async with self._database.read() as session:
            prompt = job.braid["prompt"] and await get_prompt(session, job.tenant_id, job.braid["prompt"])
            ids = [id for id in (job.training_file, job.validation_file) if id is not None]
            files = [await find_file(session, job.tenant_id, id) for id in ids]
        method = job.braid.get("method", "supervised")
        conversations: list[Sequence[Conversation]] = []
        for id, file in zip(ids, files, strict=True):
            if file is None:
                raise JobFailed("rows_missing", f"The file {id!r} was deleted before the job began. Make it again.")
            data = await asyncio.to_thread(self._artifacts.locate_file(file.digest).read_bytes)
            _, content = await asyncio.to_thread(read_conversations, data, choose_row_format(method))
            conversations.append(content.conversations)
        return _Inputs(conversations, method, prompt.template if prompt else None)

    async def _ground(
        self,
        claim: Claim,
        job: FineTuningJobRow,
        files: Sequence[Sequence[Conversation]],
        options: EvidenceOptions,
    ) -> "_GroundedFiles":
        """Give all rows their passages at one index epoch: where it moves meanwhile, from the beginning.

        A store that is written to all the time would have a job search for ever, so the last round counts in any case.
        """
        rounds = 0
        while True:
            rounds += 1
            states = await self._read_states(claim.tenant, options)
            lint = FactsLint(StoreFacts(self._database, self._retriever, self._artifacts, claim.tenant, states))
            search = _RowSearch(claim, self._finder, lint, states, options.top_k, job.seed)
            grounded = [await search.ground_all(rows) for rows in files]
            is_settled = (await self._read_states(claim.tenant, options)).index_epochs == states.index_epochs
            if is_settled or rounds == _ROUNDS:
                withheld = [
                    _withhold(
                        rows,
                        options.abstentions or list_abstentions(rows) or list_abstentions(grounded[0]),
                        options.without,
                        job.seed,
                    )
                    for rows in grounded
                ]
                return _GroundedFiles(withheld, states, is_settled)

    async def _read_states(self, tenant: str, options: EvidenceOptions) -> StoreStates:
        async with self._database.read() as session:
            return await read_states(session, tenant, options.vector_stores)

    def _render(self, inputs: "_Inputs", rows: Sequence[Conversation], job: FineTuningJobRow) -> RenderedFile:
        render = render_preferences if inputs.method == "dpo" else render_rows
        try:
            return render(encode_rows(rows), inputs.template, job.braid["variables"], choose_markers(self._base))
        except RowsUnusable as error:
            problems = describe_problems(error.problems, _DESCRIBED_PROBLEMS)
            raise JobFailed("rows_unusable", f"Rows with their passages can't be rendered. {problems}") from error


@dataclass(frozen=True, slots=True)
class _Inputs:
    files: Sequence[Sequence[Conversation]]
    method: str
    template: str | None


@dataclass(frozen=True, slots=True)
class _GroundedFiles:
    """The rows of a job's files with their passages; `is_settled` is false where documents changed meanwhile."""

    files: Sequence[list[GroundedRow]]
    states: StoreStates
    is_settled: bool


class _RowSearch:
    """Searches for a job's rows in stores at one state."""

    def __init__(
        self, claim: Claim, finder: RowPassageFinder, lint: FactsLint, states: StoreStates, top_k: int, seed: int
    ) -> None:
        self._claim = claim
        self._finder = finder
        self._lint = lint
        self._states = states
        self._top_k = top_k
        self._seed = seed
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def ground_all(self, conversations: Sequence[Conversation]) -> list[GroundedRow]:
        """Give rows their passages; the first that can't get them ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ground(one)) for one in conversations]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    async def _ground(self, conversation: Conversation) -> GroundedRow:
        if conversation.passages is not None:
            return GroundedRow.of(conversation, "own")
        async with self._places:
            if self._claim.cancelled.is_set():
                raise JobCancelled
            messages = conversation.messages[:-1]
            passages = await self._finder.find(self._claim.tenant, messages, self._states, self._top_k)
            if passages is None:
                return GroundedRow(conversation, "not_searched")
            conversation = msgspec.structs.replace(conversation, passages=passages)
            facts = await self._lint.classify(conversation)
        row = GroundedRow.of(conversation, "searched")
        stating = [RowPassage(fact.title or fact.key, fact.passage) for fact in facts if fact.place == "index"]
        return place_passages(row, stating, self._top_k, self._seed)


def _withhold(rows: Sequence[GroundedRow], words: Sequence[str], share: float, seed: int) -> list[GroundedRow]:
    """Return the rows, some of them without an answer: those drawn for it, and those whose search has none."""
    rows = [make_abstention(row, words, seed) if _found_nothing(row) else row for row in rows]
    abstentions = choose_abstentions(rows, share, seed) if words else set[int]()
    return [withhold(row, words, seed) if row.conversation.number in abstentions else row for row in rows]


def _found_nothing(row: GroundedRow) -> bool:
    return row.source == "searched" and not row.conversation.passages


def _check_size(rows: Sequence[GroundedRow]) -> None:
    remaining = sum(row.source != "left_out" for row in rows)
    if remaining < MINIMUM_ROWS:
        raise JobFailed(
            "too_few_rows",
            f"{format_count(remaining, 'row is', 'rows are')} left to train on, and at least {MINIMUM_ROWS} are "
            f"needed: {_explain_left_out(len(rows) - remaining)}",
        )


@dataclass(frozen=True, slots=True)
class _PreparedRows:
    rows: Sequence[Conversation]
    coverage: Coverage


def _vary(rows: Sequence[GroundedRow], options: EvidenceOptions, seed: int) -> _PreparedRows:
    conversations = [row.conversation for row in rows if row.source != "left_out"]
    varied, coverage = vary_rows(conversations, seed)
    return _PreparedRows(varied, coverage) if options.vary else _PreparedRows(conversations, Coverage(0, coverage.rows))


def _count(rows: Sequence[GroundedRow], rows_file: _PreparedRows, states: StoreStates) -> EvidenceFigures:
    sources = Counter(row.source for row in rows)
    return EvidenceFigures(
        index_epochs=dict(states.index_epochs),
        rows=len(rows),
        own=sources["own"],
        searched=len(rows) - sources["own"] - sources["not_searched"],
        not_searched=sources["not_searched"],
        unanswered=sum(row.unanswered for row in rows if row.source == "searched"),
        nothing=sources["nothing"],
        near_misses=sources["near_misses"],
        found_nothing=sources["found_nothing"],
        left_out=sources["left_out"],
        passages=sum(len(row.conversation.passages or ()) for row in rows),
        distractors=sum(len(row.distractors) for row in rows),
        with_values=rows_file.coverage.rows,
        covered=rows_file.coverage.varied,
        share=round(rows_file.coverage.share, 4),
    )


def _describe(figures: EvidenceFigures, share: float, grounded: _GroundedFiles) -> list[Notice]:
    """Return the events about a job's rows."""
    places = ", ".join(f"{store}@{index_epoch}" for store, index_epoch in figures.index_epochs.items())
    with_passages = figures.searched - figures.nothing - figures.found_nothing - figures.left_out
    search = (
        f"{with_passages} of {figures.rows} rows got passages from {places}, {figures.own} brought theirs, and "
        f"{figures.not_searched} are small talk. {figures.nothing} were deprived of theirs, and {figures.near_misses} "
        f"have only near misses, with a reply that says so; {figures.distractors} of {figures.passages} passages state "
        "nothing of their row's reply"
    )
    varied = (
        f"Values that stand in passages and reply were replaced in {figures.covered} of the {figures.with_values} rows "
        f"that have such ({figures.share:.0%})"
    )
    events: list[Notice] = [(search, "info", figures.model_dump()), (varied, "info", {"share": figures.share})]
    if not grounded.is_settled:
        message = (
            f"Documents changed in each of the {_ROUNDS} rounds in which rows were searched for. The rows have the "
            f"passages of the last, from {places}, and may lack some that were replaced meanwhile. For rows that can "
            "be made again, train while the stores are at rest."
        )
        events.append((message, "warn", {"index_epochs": figures.index_epochs}))
    for rows, noun in zip(grounded.files, ("row", "validation row"), strict=False):
        events += _describe_unfound(rows, noun)
    if figures.unanswered:
        message = (
            f"{format_count(figures.unanswered, 'reply states', 'replies state')} values that no passage of the row "
            "states, which teaches to make some up. braid.facts names them."
        )
        events.append((message, "warn", {"unanswered": figures.unanswered}))
    if share and not figures.nothing + figures.near_misses + figures.found_nothing:
        message = (
            "No row was made without an answer in its passages: give braid.evidence.abstentions, your own words for "
            'having none, or rows with "passages": [] and the reply that you want then.'
        )
        events.append((message, "warn", {"without": share}))
    return events


def _describe_unfound(rows: Sequence[GroundedRow], noun: str) -> list[Notice]:
    """Return the event about the rows of a file whose search found nothing, or nothing likely."""
    abstaining, left_out = (
        [row.conversation.number for row in rows if row.source == source] for source in ("found_nothing", "left_out")
    )
    if left_out:  # there were no words, so none abstain
        message, numbers = f"{noun.capitalize()}s were left out: {_explain_left_out(len(left_out), noun)}", left_out
    elif abstaining:
        message = (
            f"For {format_count(len(abstaining), noun)} no passage was found, or none that is likely to answer. The "
            "reply became one of your words for having no answer: what a reply says beside no passage is learnt by "
            "heart."
        )
        numbers = abstaining
    else:
        return []
    return [(f"{message} {_list_numbers(numbers)}", "warn", {"rows": numbers[:_LISTED_ROWS], "count": len(numbers)})]


def _explain_left_out(rows: int, noun: str = "row") -> str:
    return (
        f"for {format_count(rows, noun)} no passage was found, or none that is likely to answer, and what a reply "
        "says beside no passage is learnt by heart. Give braid.evidence.abstentions, your own words for having no "
        "answer, which become the reply of such rows; or add documents that answer them, or passages of their own."
    )


def _list_numbers(numbers: Sequence[int]) -> str:
    row_list = ", ".join(map(str, numbers[:_LISTED_ROWS]))
    rest = len(numbers) - _LISTED_ROWS
    return f"{'Row' if len(numbers) == 1 else 'Rows'} {row_list}{f' and {rest} more' if rest > 0 else ''}."
