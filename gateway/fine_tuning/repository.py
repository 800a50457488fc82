from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Repository, cut_slices
from gateway.errors import BadRequest
from gateway.fine_tuning.tables import CheckpointRow, EventRow, FineTuningJobRow, LearntFactRow

__all__ = [
    "CheckpointRepository",
    "EventRepository",
    "FineTuningJobRepository",
    "LearntFactRepository",
    "list_figures",
    "list_learning_tenants",
    "make_metadata_conditions",
]


class FineTuningJobRepository(Repository[FineTuningJobRow]):
    table = FineTuningJobRow
    noun = "fine-tuning job"

    async def lock(self, id: str) -> FineTuningJobRow:
        """Return the job as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(FineTuningJobRow.id == id))).one()

    async def list_models(self, names: Collection[str]) -> dict[str, str]:
        """List the jobs that made some adapters: each job's id with the name of its adapter.

        Where only checkpoints of a job are among them, it is the name of one.
        """
        models: dict[str, str] = {}
        for some in cut_slices(names):
            checkpoints = CheckpointRepository(self.session, self.tenant)
            ends = await checkpoints.list_all(CheckpointRow.model.in_(some))
            models = {row.fine_tuning_job_id: row.model for row in ends} | models
            rows = (await self.session.scalars(self.select(FineTuningJobRow.fine_tuned_model.in_(some)))).all()
            models |= {row.id: row.fine_tuned_model for row in rows if row.fine_tuned_model}
        return models


class LearntFactRepository(Repository[LearntFactRow]):
    table = LearntFactRow
    noun = "learnt fact"

    async def list_of(self, jobs: Collection[str]) -> Sequence[LearntFactRow]:
        """List what some jobs have learnt, however many they are."""
        facts: list[LearntFactRow] = []
        for some in cut_slices(jobs):
            query = self.select(LearntFactRow.fine_tuning_job_id.in_(some)).order_by(LearntFactRow.id)
            facts += (await self.session.scalars(query)).all()
        return facts

    async def list_looks(self, jobs: Collection[str]) -> set[tuple[str, str, int | None]]:
        """List the documents that some jobs have learnt from: job, document, and its version at the last look."""
        columns = (LearntFactRow.fine_tuning_job_id, LearntFactRow.document_id, LearntFactRow.looked_version)
        looks: set[tuple[str, str, int | None]] = set()
        for some in cut_slices(jobs):
            query = self.select(LearntFactRow.fine_tuning_job_id.in_(some)).with_only_columns(*columns).distinct()
            looks |= {(job, document, version) for job, document, version in await self.session.execute(query)}
        return looks

    async def list_newest(self, stores: Collection[str], limit: int) -> Sequence[LearntFactRow]:
        """List what jobs have learnt from documents of some stores, the last first."""
        query = self.select(LearntFactRow.store_id.in_(stores)).order_by(LearntFactRow.id.desc())
        return (await self.session.scalars(query.limit(limit))).all()


class EventRepository(Repository[EventRow]):
    table = EventRow
    noun = "event"

    async def list_after(self, job: str, id: str, limit: int) -> Sequence[EventRow]:
        """List a job's events after an id, oldest first."""
        where = (EventRow.fine_tuning_job_id == job, EventRow.id > id)
        return (await self.session.scalars(self.select(*where).order_by(EventRow.id).limit(limit))).all()

    async def list_last_metrics(self, job: str, limit: int) -> Sequence[EventRow]:
        """List a job's last events with figures, the newest first."""
        where = (EventRow.fine_tuning_job_id == job, EventRow.kind == "metrics")
        return (await self.session.scalars(self.select(*where).order_by(EventRow.id.desc()).limit(limit))).all()


class CheckpointRepository(Repository[CheckpointRow]):
    table = CheckpointRow
    noun = "checkpoint"


def make_metadata_conditions(pairs: Mapping[str, str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions for jobs with all these pairs; None means jobs without metadata, as OpenAI has it.

    Raises:
        BadRequest: A key that no JSON path can name on every database.
    """
    if pairs is None:
        return [cast(FineTuningJobRow.meta, String) == "{}"]
    for key in pairs:
        if '"' in key or "\\" in key or any(sign < " " for sign in key):
            raise BadRequest(
                f"Jobs can't be looked up by the metadata key {key!r}: it has a quote, a backslash or a line's end.",
                param="metadata",
            )
    return [FineTuningJobRow.meta[key].as_string() == value for key, value in pairs.items()]


async def list_figures(session: AsyncSession, model: str, method: str, limit: int) -> list[dict[str, Any]]:
    """Return what a method's newest trainings of a base measured, of all tenants: they have the machines together."""
    is_dpo = func.coalesce(FineTuningJobRow.braid["method"].as_string(), "") == "dpo"
    where = (FineTuningJobRow.model == model, FineTuningJobRow.status == "succeeded")
    where += (is_dpo if method == "dpo" else ~is_dpo,)
    newest = select(FineTuningJobRow.braid).where(*where).order_by(FineTuningJobRow.finished_at.desc()).limit(limit)
    return [braid["figures"] for braid in (await session.scalars(newest)).all() if braid.get("figures")]


async def list_learning_tenants(session: AsyncSession) -> Sequence[str]:
    """List the tenants whose jobs have learnt facts of documents: a worker looks at those of all of them."""
    query = select(LearntFactRow.tenant_id).distinct().order_by(LearntFactRow.tenant_id)
    return (await session.scalars(query)).all()
