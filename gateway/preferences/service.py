"""One tenant's votes made into datasets of preferences, and those into fine-tuning jobs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.answers.service import MOST_RECORDS, AnswerService, CitedDocuments
from gateway.artifacts import Artifacts
from gateway.assistants.release import split_release
from gateway.comparisons.comparison_votes import read_comparison_votes
from gateway.comparisons.contestants import pin_model
from gateway.comparisons.service import get_comparison
from gateway.counts import format_count
from gateway.db import Database
from gateway.engines.served_base_model import ServedBaseModel, choose_markers
from gateway.errors import BadRequest, BraidError, Conflict, NotFound
from gateway.feedback.service import list_feedback
from gateway.files import FileRow
from gateway.files.service import add_file, delete_files, get_files, make_file
from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.estimate import Price
from gateway.fine_tuning.recipe import RecipeBounds
from gateway.fine_tuning.schemas import (
    DpoMethodCreate,
    FineTuningBraidOptions,
    FineTuningJobCreate,
    FineTuningMethodCreate,
)
from gateway.fine_tuning.service import FineTuningService
from gateway.preferences.comparison_contests import list_comparison_contests
from gateway.preferences.contest import Contest, LeftOut, VoteRules
from gateway.preferences.dataset import (
    Dataset,
    PairChoice,
    PreferencePair,
    PromptForm,
    check_prompts,
    encode_pairs,
    split_pairs,
)
from gateway.preferences.feedback_contests import list_feedback_contests
from gateway.preferences.schemas import (
    ComparisonDatasetCreate,
    ComparisonFineTune,
    FeedbackDatasetCreate,
    FeedbackFineTune,
    PreferenceDataset,
    PreferenceDatasetCreate,
    PreferenceTraining,
)
from gateway.preferences.target import LearningTarget, find_target
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage
from training.spec import MINIMUM_ROWS

__all__ = ["PreferenceService", "TrainingMeans"]

_MOST_FEEDBACK = 20_000  # of an assistant, the newest
_CONTESTS_AT_ONCE = MOST_RECORDS // 2  # each is of two answers at most


@dataclass(frozen=True, slots=True)
class TrainingMeans:
    """The operator's means that a fine-tuning job is made with; `base_model` is "" while nobody has said it."""

    base_model: str
    base: ServedBaseModel | None
    bounds: RecipeBounds
    price: Price
    most_queued: int


@dataclass(frozen=True, slots=True)
class _Contests:
    """Contests of votes, and the number of those that weren't made by reason; in feedback, of voters and of keys."""

    contests: Sequence[Contest]
    left_out: Counter[LeftOut]
    voters: int | None = None
    keys: int | None = None


class PreferenceService:
    """Makes datasets and jobs. Each step is its own unit of work: rows are rendered and files written in none."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        storage: TenantStorage,
        documents: CitedDocuments,
        principal: Principal,
        means: TrainingMeans,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._documents = documents
        self._principal = principal
        self._tenant = principal.tenant
        self._means = means

    async def make_of_comparison(self, id: str, request: ComparisonDatasetCreate) -> PreferenceDataset:
        """Make a training file of the pairs that voters of a comparison agree on, and one of those held out.

        Raises:
            NotFound: The tenant has no such comparison.
            BadRequest: Fewer pairs are left than can be trained on; the message counts the others by reason.
            Conflict: The side's release isn't there any more.
            PayloadTooLarge: The tenant has no room for the files.
        """
        target, contests = await self._read_comparison(id, request)
        return await self._make(contests, target, request, f"comparison-{id[-12:]}")

    async def make_of_feedback(self, request: FeedbackDatasetCreate) -> PreferenceDataset:
        """Make the same of feedback on answers; see `make_of_comparison`.

        Raises:
            NotFound: The tenant has no such release.
        """
        target, contests = await self._read_feedback(request)
        return await self._make(contests, target, request, "feedback")

    async def train_on_comparison(self, id: str, request: ComparisonFineTune) -> PreferenceTraining:
        """Make a dataset of a comparison, and a job that learns it; see `FineTuningService.create`."""
        target, contests = await self._read_comparison(id, request)
        return await self._train(await self._make(contests, target, request, f"comparison-{id[-12:]}"), target, request)

    async def train_on_feedback(self, request: FeedbackFineTune) -> PreferenceTraining:
        """Make a dataset of feedback, and a job that learns it; see `FineTuningService.create`."""
        target, contests = await self._read_feedback(request)
        return await self._train(await self._make(contests, target, request, "feedback"), target, request)

    async def _read_comparison(self, id: str, request: ComparisonDatasetCreate) -> tuple[LearningTarget, _Contests]:
        async with self._database.read() as session:
            comparison = await get_comparison(session, self._tenant, id)
            target = await find_target(session, self._tenant, comparison.models["ab".index(request.side)])
            voted = await read_comparison_votes(session, self._tenant, id, corrections=request.corrections)
        return target, _Contests(*await asyncio.to_thread(list_comparison_contests, voted, request.side))

    async def _read_feedback(self, request: FeedbackDatasetCreate) -> tuple[LearningTarget, _Contests]:
        async with self._database.read() as session:
            model = base = self._means.base_model
            if request.release is not None:
                model = await pin_model(session, self._tenant, request.release, base, param="release")
            target = await find_target(session, self._tenant, model)
            name, number = split_release(model)
            assistant = None if number is None else name
            rows, older = await list_feedback(session, self._tenant, assistant=assistant, most=_MOST_FEEDBACK)
        contests, left_out = await asyncio.to_thread(list_feedback_contests, rows, corrections=request.corrections)
        left_out += Counter[LeftOut]({"older_votes": older})
        voters, keys = {row.voter for row in rows}, {row.key for row in rows} - {None}
        return target, _Contests(contests, left_out, len(voters), len(keys))

    async def _make(
        self, contests: _Contests, target: LearningTarget, request: PreferenceDatasetCreate, name: str
    ) -> PreferenceDataset:
        dataset = await self._choose(contests, target, request)
        if len(dataset.training) < MINIMUM_ROWS:
            raise _refuse(dataset)
        training = await self._store(name, dataset.training)
        held_out = await self._store(f"{name}-held-out", dataset.held_out) if dataset.held_out else None
        async with self._database.begin() as session:
            files = [training] if held_out is None else [training, held_out]
            for file in files:
                add_file(session, self._tenant, file)
            await self._storage.admit(session, self._tenant, sum(file.bytes for file in files))
        pairs = [*dataset.training, *dataset.held_out]
        return PreferenceDataset(
            training_file=training.id,
            validation_file=held_out and held_out.id,
            training=len(dataset.training),
            held_out=len(dataset.held_out),
            voted=sum(not pair.corrected for pair in pairs),
            corrected=sum(pair.corrected for pair in pairs),
            other_prompt=await self._count_other_prompts(pairs, target),
            voters=contests.voters,
            keys=contests.keys,
            left_out=dict(sorted(dataset.left_out.items())),
            model=target.model,
            prompt=target.prompt,
        )

    async def _choose(self, contests: _Contests, target: LearningTarget, request: PreferenceDatasetCreate) -> Dataset:
        least_keys = request.min_keys if isinstance(request, FeedbackDatasetCreate) else 1
        choice = PairChoice(VoteRules(request.min_votes, request.min_agreement, least_keys))
        for start in range(0, len(contests.contests), _CONTESTS_AT_ONCE):
            some = contests.contests[start : start + _CONTESTS_AT_ONCE]
            async with self._database.read() as session:
                answers = AnswerService(session, self._tenant, self._documents)
                records = await answers.list_records(choice.list_answers(some))
            await asyncio.to_thread(choice.take, some, records)
        base = self._means.base
        folds = base is not None and base.folds_system
        form = PromptForm(target.template, target.variables, choose_markers(base), folds_system=folds)

        def choose() -> Dataset:
            pairs, mismatches = check_prompts(choice.pairs, form)
            training, held_out = split_pairs(pairs, request.held_out, request.seed)
            return Dataset(training, held_out, contests.left_out + choice.left_out + mismatches)

        return await asyncio.to_thread(choose)

    async def _count_other_prompts(self, pairs: Sequence[PreferencePair], target: LearningTarget) -> int:
        """Count the pairs of answers of which one had another prompt than the rows will, or may have had."""
        alike: set[str] = set()
        async with self._database.read() as session:
            for name in {name for pair in pairs for name in pair.answered_by}:
                with suppress(Conflict, NotFound):  # a release or a prompt that is gone may have been any
                    own = await find_target(session, self._tenant, name)
                    if (own.prompt, own.variables) == (target.prompt, target.variables):
                        alike.add(name)
        return sum(not pair.answered_by <= alike for pair in pairs)

    async def _store(self, name: str, pairs: Sequence[PreferencePair]) -> FileRow:
        artifact = await self._artifacts.put_bytes(await asyncio.to_thread(encode_pairs, pairs))
        return make_file(f"{name}.jsonl", "fine-tune", artifact.digest, artifact.size)

    async def _train(
        self, dataset: PreferenceDataset, target: LearningTarget, request: ComparisonFineTune | FeedbackFineTune
    ) -> PreferenceTraining:
        """Create the job; where it can't be, its files go again."""
        files = TrainingFiles(self._database, self._tenant, self._artifacts, self._means.base)
        body = FineTuningJobCreate(
            model=request.model or target.model,
            training_file=dataset.training_file,
            validation_file=dataset.validation_file,
            suffix=request.suffix,
            seed=request.seed,
            method=FineTuningMethodCreate(type="dpo", dpo=DpoMethodCreate(hyperparameters=request.hyperparameters)),
            metadata=request.metadata,
            braid=FineTuningBraidOptions(
                prompt=target.prompt, variables=dict(target.variables), recipe=request.recipe, facts=request.facts
            ),
        )
        means = self._means
        try:
            async with self._database.begin() as session:
                service = FineTuningService(session, self._principal, self._storage)
                job = await service.create(body, files, means.base_model, means.bounds, means.price, means.most_queued)
        except BraidError:
            await self._delete_files(dataset)
            raise
        return PreferenceTraining(dataset=dataset, job=job)

    async def _delete_files(self, dataset: PreferenceDataset) -> None:
        async with self._database.begin() as session:
            ids = [id for id in (dataset.training_file, dataset.validation_file) if id is not None]
            digests = [file.digest for file in (await get_files(session, self._tenant, ids, param="file_id")).values()]
            await delete_files(session, self._tenant, ids=ids, digests=digests)


def _refuse(dataset: Dataset) -> BadRequest:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dataset.left_out.items()))
    pairs = format_count(len(dataset.training) + len(dataset.held_out), "pair of replies has", "pairs of replies have")
    return BadRequest(
        f"{pairs} a winner that voters agree on, {len(dataset.held_out)} of these are held out, "
        f"and at least {MINIMUM_ROWS} are needed to train on. Left out: {reasons or 'none'}. Collect more votes, or "
        "ask for less agreement (min_votes, min_agreement).",
        code="too_few_pairs",
    )
